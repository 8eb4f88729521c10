"""Sessions in child processes: what becomes of the child is one line of error, and nothing of it stays behind."""

from __future__ import annotations

import gc
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from accelerators import Accelerators
from devices.run_conformance import run_conformance
from linnet_devices.api import DeviceError, DeviceUnavailable, OpenOptions
from linnet_devices.errors import DeviceCrashed, DeviceHung
from linnet_devices.isolated import IsolatedSession
from linnet_devices.litert import LiteRT
from linnet_devices.testing.samples import load_models, pattern_pictures
from plugins import install_plugin
from program import PATIENCE_S

MODEL = next(model for model in load_models() if model.format == "tflite" and model.precision == "int8")
PICTURE = pattern_pictures()[:1]
ONE_THREAD = OpenOptions(1)
LONG_S, SHORT_S = PATIENCE_S, 0.5  # deadlines that are not missed, and that are

ISOLATING_PLUGIN = """
from linnet_devices.isolated import IsolatedSession, in_child
from linnet_devices.ort import OnnxRuntimeCpu

class Isolating(OnnxRuntimeCpu):
    name = "isolating"

    def open(self, model, options):
        if in_child():
            return super().open(model, options)
        return IsolatedSession(self.name, model, options)
"""


@pytest.fixture
def accelerators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accelerators:
    return Accelerators(tmp_path, monkeypatch)


Opener = Callable[..., IsolatedSession]


@pytest.fixture
def open_first(accelerators: Accelerators) -> Iterator[Opener]:
    """Opens the simulated accelerator, and closes it after the test."""
    sessions = []

    def open_first(options: OpenOptions = ONE_THREAD, **deadlines: float) -> IsolatedSession:
        sessions.append(IsolatedSession("first", MODEL, options, **deadlines))
        return sessions[-1]

    yield open_first
    for session in sessions:
        session.close()


def are_gone(children: list[int]) -> bool:
    """Whether these have ended and have been waited for, on a busy machine after a while: a zombie is not gone."""
    end = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{child}").exists() for child in children):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# A session like any other


def test_it_passes_the_conformance_suite(tmp_path: Path) -> None:
    """A device that isolates itself does all that a device does."""
    install_plugin(tmp_path / "site", "isolating_plugin", ISOLATING_PLUGIN, {"isolating": "Isolating"})
    run_conformance(tmp_path, "isolating", tmp_path / "site", precisions=("int8",))


def test_it_gives_the_logits_of_the_session_in_the_child(open_first: Opener) -> None:
    with LiteRT().open(MODEL, OpenOptions(1)) as here:
        expected = here.run(pattern_pictures())
    session = open_first()
    np.testing.assert_array_equal(session.run(pattern_pictures()), expected)
    assert session.device == "first"
    assert session.placement.share == 1


def test_the_child_has_the_options(accelerators: Accelerators, open_first: Opener) -> None:
    accelerators.fail("tell")
    with pytest.raises(DeviceError) as error:
        open_first()
    assert error.value.got == str(OpenOptions(1))


def test_what_the_child_prints_is_not_the_programs_output(
    accelerators: Accelerators, open_first: Opener, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor does it stop a child that prints more than a pipe holds."""
    session = open_first()
    accelerators.fail("chatty")
    session.run(PICTURE)
    session.close()
    assert capfd.readouterr() == ("", "")


# The child fails


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("abort", "was ended by SIGABRT, after printing: F driver/usb.cc:857] USB transfer error 2"),
        ("segmentation fault", "was ended by SIGSEGV"),
        ("exit", "ended with status 7"),
    ],
)
@pytest.mark.parametrize("when", ["opening", "running"])
def test_a_child_that_ends_is_an_error_that_says_how(
    fault: str, how: str, when: str, accelerators: Accelerators, open_first: Opener
) -> None:
    with pytest.raises(DeviceCrashed) as error:
        fail(when, fault, accelerators, open_first)
    assert str(error.value) == f"device first: got its process {how}"
    assert are_gone(accelerators.opened())


@pytest.mark.parametrize("when", ["opening", "first run", "running"])
def test_a_child_that_hangs_is_ended_at_its_deadline(when: str, accelerators: Accelerators, open_first: Opener) -> None:
    """Even one that holds the interpreter's lock. The first run still has the deadline of opening."""
    limits = {"open_s": LONG_S, "run_s": SHORT_S} if when == "running" else {"open_s": 4 * SHORT_S, "run_s": LONG_S}
    with pytest.raises(DeviceHung) as error:
        fail(when, "hang", accelerators, partial(open_first, **limits))
    assert str(error.value) == f"device first: got no answer in {SHORT_S if when == 'running' else 4 * SHORT_S:g} s"
    assert are_gone(accelerators.opened())


def fail(when: str, fault: str, accelerators: Accelerators, open_first: Opener) -> None:
    """Has the fault come up at opening, in the first run or in a later one."""
    if when == "opening":
        accelerators.fail(fault)
    session = open_first()
    if when == "running":
        session.run(PICTURE)
    accelerators.fail(fault)
    session.run(PICTURE)


def test_a_session_whose_child_has_ended_only_fails(accelerators: Accelerators, open_first: Opener) -> None:
    session = open_first()
    with pytest.raises(DeviceCrashed):
        fail("opening", "exit", accelerators, lambda: session)
    accelerators.mend()
    with pytest.raises(DeviceError, match="after it failed"):
        session.run(PICTURE)
    session.close()
    session.close()


def test_an_error_in_the_child_is_one_line_and_the_session_goes_on(
    accelerators: Accelerators, open_first: Opener
) -> None:
    session = open_first()
    expected = session.run(PICTURE)
    accelerators.fail("raise")
    with pytest.raises(DeviceError) as error:
        session.run(PICTURE)
    assert str(error.value) == "device first: got RuntimeError: the firmware says no"
    accelerators.mend()
    np.testing.assert_array_equal(session.run(PICTURE), expected)


def test_logits_of_another_shape_are_an_error(accelerators: Accelerators, open_first: Opener) -> None:
    session = open_first()
    accelerators.fail("shape")
    with pytest.raises(DeviceError, match=r"logits of first: got \[1, 1\], expected \[1, 3\]"):
        session.run(PICTURE)


def test_a_device_that_is_not_here_says_so_as_it_does_in_process(
    accelerators: Accelerators, open_first: Opener
) -> None:
    accelerators.fail("absent")
    with pytest.raises(DeviceUnavailable) as error:
        open_first()
    assert str(error.value) == "first: no such board on the bus. Fix: plug it in"


def test_a_plugin_that_does_not_look_at_its_placement_is_held_to_it(
    accelerators: Accelerators, open_first: Opener
) -> None:
    accelerators.fail("partly")
    assert open_first().placement.share == 1 / 3
    with pytest.raises(
        DeviceError, match=r"on first: got 1 of 3 operations on it \(2 ADD: CPU\), expected at least 90"
    ):
        open_first(OpenOptions(1, require_placement=0.9))


# Its end


def test_closing_lets_the_child_end_and_leaves_nothing(accelerators: Accelerators, open_first: Opener) -> None:
    """No process, no zombie, no open file; the shared memory never had a name."""
    gc.collect()  # of tests before
    before = open_files()
    session = open_first()
    session.run(PICTURE)
    session.close()
    assert are_gone(accelerators.opened())
    assert open_files() == before


def test_an_opening_can_be_stopped(accelerators: Accelerators) -> None:
    accelerators.fail("hang")
    stop = threading.Event()
    stop.set()
    with pytest.raises(DeviceError, match="device first: got stopped"):
        IsolatedSession("first", MODEL, OpenOptions(), stop=stop)


PROGRAM = """
import os, signal
from pathlib import Path
from linnet_devices import DeviceError, OpenOptions
from linnet_devices.isolated import IsolatedSession
from linnet_devices.testing.samples import load_models, pattern_pictures

model = next(model for model in load_models() if model.format == "tflite")
session = IsolatedSession("first", model, OpenOptions(1))
"""
WITH_CTRL_C = """
signal.signal(signal.SIGINT, lambda *_: print("ctrl-C"))
os.killpg(0, signal.SIGINT)
print(session.run(pattern_pictures()[:1]).shape)
session.close()
"""
INTERRUPTED = """
Path(os.environ["SIMULATED_FAULTS"], "first").write_text("interrupt")  # the child sends it while this waits for it
try:
    session.run(pattern_pictures()[:1])
except KeyboardInterrupt:
    try:
        session.run(pattern_pictures()[:1])
    except DeviceError as error:
        print("ctrl-C, then:", error)
session.close()
"""


def test_the_child_dies_with_its_parent_though_it_hangs(accelerators: Accelerators) -> None:
    """Even when the parent is killed and the child holds the interpreter's lock."""
    accelerators.fail("hang")
    with subprocess.Popen([sys.executable, "-c", PROGRAM]) as parent:
        while not accelerators.opened():
            assert parent.poll() is None
            os.sched_yield()
        (child,) = accelerators.opened()
        ended = os.pidfd_open(child)
        parent.kill()
        assert select.select([ended], [], [], PATIENCE_S)[0]
        os.close(ended)


@pytest.mark.usefixtures("accelerators")
def test_ctrl_c_on_the_terminal_is_not_the_childs() -> None:
    """It goes to all processes of the group; a program that handles it can still close its devices."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + WITH_CTRL_C],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert done.stdout.splitlines() == ["ctrl-C", "(1, 3)"]


def test_ctrl_c_in_a_run_ends_the_child_so_that_its_late_answer_is_nobodys(accelerators: Accelerators) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM + INTERRUPTED], capture_output=True, text=True, check=True)
    assert done.stdout == "ctrl-C, then: session on first: got run() after it failed, expected another session\n"
    assert are_gone(accelerators.opened())
