"""Accelerators that fail, and the stream that goes on: real child processes, the accelerators in them are simulated.

With ``pytest -rP`` the first test tells, for each of the six faults, how long its frame had to wait for an answer.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from accelerators import Accelerators
from edge_runtime.simulated_camera import SimulatedCamera, Step
from edge_runtime.small_bundle import SIDE
from linnet_devices import registry
from linnet_devices.api import DeviceError, DeviceUnavailable, OpenOptions
from linnet_runtime import Classifier
from linnet_runtime.bundle import BundleError, open_bundle
from linnet_runtime.failover import supervisor
from linnet_runtime.failover.checked import CheckedSession, Limits, Wanted, open_checked
from linnet_runtime.failover.rung import DeviceEvent, Rung
from linnet_runtime.failover.supervisor import SupervisedSession
from linnet_runtime.pipeline import Pipeline, Result
from linnet_runtime.sources import Frame
from program import PATIENCE_S, linnet, one_line_error
from simulated_accelerator import SLOW_S

CHECK_EVERY = 8  # frames
# Patience with a loaded machine; a deadline is short only where a test wants it to be missed, and even then it is far
# longer than an inference.
PATIENT = Limits(
    deadline_s=PATIENCE_S,
    open_s=PATIENCE_S,
    start_s=PATIENCE_S,
    canary_frames=CHECK_EVERY,
    first_backoff_s=0.1,
    longest_backoff_s=0.1,
    restarts_a_minute=99,
)
# The simulated accelerator's fault, what the supervisor makes of it, and how many frames a second device has to answer.
FAULTS = {
    "absent": ("absent", 0, PATIENT),
    "abort": ("crash", 1, PATIENT),
    # Once: a device that still hung when it is opened again would use up the time that opening may take.
    "hang once": ("hang", 1, replace(PATIENT, deadline_s=4.0)),
    "raise": ("error", 1, PATIENT),
    "garbage": ("wrong answers", 1, PATIENT),
    "slow": ("slow", 0, replace(PATIENT, deadline_s=2 * SLOW_S - 0.4, slow_in_a_row=2)),
}
FAILS, MENDED, FRAMES = 4, 4 + 2 * CHECK_EVERY, 4 + 3 * CHECK_EVERY  # after so many frames, and so many in all


@pytest.fixture
def accelerators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accelerators:
    return Accelerators(tmp_path, monkeypatch)


def pictures() -> Iterator[Frame]:
    """The same frames each time, without end, and each another one."""
    random = np.random.default_rng(0)
    while True:
        yield Frame(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))


def stream(classifier: Classifier, script: Iterable[Step] | None = None) -> Iterator[Result]:
    """The pictures through the pipeline as a file's frames, of which none may be left out."""
    with Pipeline(lambda: SimulatedCamera(script or pictures(), live=False), classifier) as pipeline:
        yield from pipeline


class Listener(logging.Handler):
    """Sets ``back`` when the supervisor says that a device is back."""

    def __init__(self) -> None:
        super().__init__()
        self.back = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "is back" in record.getMessage():
            self.back.set()


@pytest.fixture
def back() -> Iterator[threading.Event]:
    listener = Listener()
    logging.getLogger("linnet").addHandler(listener)
    yield listener.back
    logging.getLogger("linnet").removeHandler(listener)


def events_of(classifier: Classifier) -> list[DeviceEvent]:
    assert isinstance(classifier.session, SupervisedSession)
    return list(classifier.session.events)


def devices_in_turn(results: list[Result]) -> list[str]:
    return [device for device, _ in itertools.groupby(result.classification.device for result in results)]


def wrong_frames(results: list[Result], bundle: Path) -> list[int]:
    """The frames whose logits are not those that the CPU alone gives."""
    with Classifier.open(bundle, "cpu:litert") as alone:
        return [
            result.frame
            for result, frame in zip(results, pictures(), strict=False)
            if not np.array_equal(result.classification.logits, alone.classify(frame.pixels, color=frame.color).logits)
        ]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_goes_on_and_the_accelerator_comes_back(
    fault: str, accelerators: Accelerators, bundle_folder: Path, back: threading.Event
) -> None:
    """Amid a stream an accelerator fails, and later it is mended. Every frame is answered, in order, and rightly."""
    what, repeated, limits = FAULTS[fault]
    if fault == "absent":
        accelerators.fail(fault)
    frames = list(itertools.islice(pictures(), FRAMES))
    results = []
    with Classifier.open(bundle_folder, "first,cpu", limits=limits) as classifier:
        for result in stream(classifier, [*frames[:MENDED], back, *frames[MENDED:]]):
            results.append(result)
            if len(results) == FAILS:
                accelerators.fail(fault)
            if len(results) == MENDED:
                accelerators.mend()
        first, *_, last = events_of(classifier)
        summary = classifier.session.summary()
    assert [result.frame for result in results] == list(range(1, FRAMES + 1))
    assert devices_in_turn(results) == ["first", "cpu:litert", "first"][fault == "absent" :]
    assert (first.device, first.what) == ("first", what)
    assert first.to == (None if fault == "absent" else "cpu:litert")
    assert (last.device, last.what) == ("first", "back")
    assert summary["frames_repeated"] == repeated
    assert sum(summary["frames_by_device"].values()) == FRAMES
    wrong = wrong_frames(results, bundle_folder)
    # Wrong answers are found by the next canary, and no later.
    assert wrong == (list(range(FAILS + 1, CHECK_EVERY + 1)) if fault == "garbage" else [])
    print(f"{fault}: {first.reason}; the stream went on after {first.seconds} s")


def test_wrong_answers_never_label_a_frame(accelerators: Accelerators, bundle_folder: Path) -> None:
    """An accelerator that computes something else from the start is left out, however often it is tried."""
    accelerators.fail("garbage")
    with Classifier.open(bundle_folder, "first,cpu", limits=PATIENT) as classifier:
        results = []
        for result in stream(classifier):
            results.append(result)
            if len(accelerators.opened()) == 3:
                break
        (event,) = events_of(classifier)
    assert devices_in_turn(results) == ["cpu:litert"]
    assert event.what == "wrong answers"
    assert " allowed, " in event.reason


def test_the_canaries_are_asked_on_the_live_accelerator_when_their_time_has_come(
    accelerators: Accelerators, bundle_folder: Path
) -> None:
    """Before the frame, which the next device then labels: with no time between two of them no frame is wrong."""
    limits = replace(PATIENT, canary_frames=1, first_backoff_s=60.0)
    with Classifier.open(bundle_folder, "first,cpu", limits=limits) as classifier:
        results = stream(classifier)
        before = next(results)
        accelerators.fail("garbage")
        after = next(results)
        (event,) = events_of(classifier)
    assert devices_in_turn([before, after]) == ["first", "cpu:litert"]
    assert (event.what, wrong_frames([before, after], bundle_folder)) == ("wrong answers", [])


def test_each_result_says_which_device_made_it_and_from_what(accelerators: Accelerators, bundle_folder: Path) -> None:
    """Down a ladder of three, rung by rung."""
    ladder = iter(["first", "second"])
    made_by = []
    with Classifier.open(bundle_folder, "first,second,cpu:onnx", limits=PATIENT) as classifier:
        for result in itertools.islice(stream(classifier), 3):
            made_by.append((result.classification.device, result.classification.artifact))
            accelerators.fail("abort", next(ladder, "none"))
        assert [(event.device, event.to) for event in events_of(classifier)] == [
            ("first", "second"),
            ("second", "cpu:onnx"),
        ]
    assert made_by == [("first", "model.int8.tflite"), ("second", "model.int8.tflite"), ("cpu:onnx", "model.int8.onnx")]


def test_an_accelerator_alone_answers_again_when_it_is_open_again(
    accelerators: Accelerators, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame waits for it."""
    monkeypatch.setattr(supervisor, "_PATIENCE_S", PATIENCE_S)
    with Classifier.open(bundle_folder, "first", limits=PATIENT) as classifier:
        results = stream(classifier)
        next(results)
        accelerators.fail("abort once")
        assert next(results).classification.device == "first"
        assert {event.what for event in events_of(classifier)} == {"crash", "back"}
    assert len(accelerators.opened()) == 2


def test_when_all_have_failed_for_long_the_reasons_are_the_error(
    accelerators: Accelerators, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_PATIENCE_S", 0.0)
    with Classifier.open(
        bundle_folder, "first,second", limits=replace(PATIENT, first_backoff_s=PATIENCE_S)
    ) as classifier:
        results = stream(classifier)
        next(results)
        accelerators.fail("abort")
        accelerators.fail("raise", "second")
        with pytest.raises(DeviceUnavailable) as error:
            next(results)
        assert [event.what for event in events_of(classifier)] == ["crash", "error"]
    assert str(error.value).startswith("device='first,second': got device first: got its process was ended by SIGABRT")
    assert str(error.value).endswith("; device second: got RuntimeError: the firmware says no")


def test_a_ladder_without_an_available_device_is_an_error_with_each_reason(
    accelerators: Accelerators, bundle_folder: Path
) -> None:
    for device in ("first", "second"):
        accelerators.fail("absent", device)
    with pytest.raises(DeviceUnavailable) as error:
        Classifier.open(bundle_folder, "first,second")
    reason = "no such board on the bus. Fix: plug it in"
    assert str(error.value) == f"device='first,second': got first: {reason}; second: {reason}"


@pytest.mark.parametrize(
    ("device", "got"), [("first,cpuu", "'cpuu'"), ("first,auto", "auto in a list"), ("cpu,", "''")]
)
def test_a_slip_in_a_ladder_is_an_error_and_no_absent_device(
    device: str, got: str, accelerators: Accelerators, bundle_folder: Path
) -> None:
    with pytest.raises(DeviceError, match=f"device: got {got}"):
        Classifier.open(bundle_folder, device)
    assert not accelerators.opened()


# Starting


def test_a_start_does_not_wait_for_an_accelerator_that_is_long_in_opening(
    accelerators: Accelerators, bundle_folder: Path, back: threading.Event
) -> None:
    """The next device begins; the accelerator takes over when it is open."""
    limits = replace(PATIENT, start_s=0.0)
    frames = list(itertools.islice(pictures(), 2))
    with Classifier.open(bundle_folder, "first,cpu", limits=limits) as classifier:
        results = list(stream(classifier, [frames[0], back, frames[1]]))
        late, ready = events_of(classifier)
    assert devices_in_turn(results) == ["cpu:litert", "first"]
    assert (late.device, late.what, late.reason) == ("first", "late", "first: not open after 0 s")
    assert (ready.device, ready.what) == ("first", "back")
    assert len(accelerators.opened()) == 1


def test_a_start_outlives_an_accelerator_that_hangs_in_opening(accelerators: Accelerators, bundle_folder: Path) -> None:
    accelerators.fail("hang")
    with Classifier.open(bundle_folder, "first,cpu", limits=replace(PATIENT, start_s=0.0)) as classifier:
        results = list(itertools.islice(stream(classifier), 2))
        (event,) = events_of(classifier)
    assert devices_in_turn(results) == ["cpu:litert"]
    assert event.what == "late"
    assert not any(Path(f"/proc/{child}").exists() for child in accelerators.opened())


def test_an_opening_that_fails_after_the_start_is_an_event_and_is_tried_again(
    accelerators: Accelerators, bundle_folder: Path
) -> None:
    accelerators.fail("hang once")
    with Classifier.open(bundle_folder, "first,cpu", limits=replace(PATIENT, start_s=0.0, open_s=10.0)) as classifier:
        results = stream(classifier)
        next(result for result in results if len(events_of(classifier)) > 1)
        next(result for result in results if result.classification.device == "first")
        assert [event.what for event in events_of(classifier)] == ["late", "hang", "back"]


def test_a_damaged_file_is_no_devices_failure(accelerators: Accelerators, bundle_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle_folder, tmp_path / "parts.linnet")
    (copy / "model.int8.tflite").write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"model\.int8\.tflite"):
        Classifier.open(copy, "first,cpu")
    assert not accelerators.opened()


def test_the_reason_why_the_only_device_fails_is_reported_once(
    accelerators: Accelerators, bundle_folder: Path, photos_folder: Path
) -> None:
    accelerators.fail("absent")
    photo = next(photos_folder.rglob("*.jpg"))
    line = one_line_error(linnet("classify", bundle_folder, photo, "--device", "first", status=1))
    assert line == "--device first: got first: no such board on the bus. Fix: plug it in"


# Trying again


def failing(tries: list[float], enough: threading.Event, limits: Limits) -> Rung:
    """A device that is never here. It sets the event when it has been tried as often as a minute allows."""

    def open_device(stop: threading.Event) -> CheckedSession:
        tries.append(time.monotonic())
        if len(tries) > limits.restarts_a_minute:
            enough.set()
        raise DeviceUnavailable("not here")

    return Rung("gone", open_device, limits, isolated=True)


def test_a_device_is_tried_again_only_so_often_in_a_minute(small_bundle: Path) -> None:
    limits = Limits(first_backoff_s=0.0, longest_backoff_s=0.0, restarts_a_minute=3)
    wanted = Wanted(open_bundle(small_bundle), "int8", OpenOptions(), None, limits)
    tries, enough = [], threading.Event()
    here = Rung("fake", partial(open_checked, "fake", wanted), limits, isolated=False)
    with SupervisedSession("gone,fake", [failing(tries, enough, limits), here], limits) as session:
        assert enough.wait(PATIENCE_S)
        for _ in range(1000):  # no more come
            session.run(np.zeros((1, SIDE, SIDE, 3), np.uint8))
    assert len(tries) == 1 + limits.restarts_a_minute


def test_the_wait_doubles_up_to_the_longest() -> None:
    limits = Limits(first_backoff_s=100.0, longest_backoff_s=300.0)
    rung = failing([], threading.Event(), limits)

    def wait_s() -> float:
        rung.down(DeviceError("gone"))
        return rung.retry_at - time.monotonic()

    assert [wait_s() for _ in range(4)] == pytest.approx([100, 200, 300, 300], abs=50)


def test_closing_ends_an_opening_that_hangs(accelerators: Accelerators, bundle_folder: Path) -> None:
    """No process and no thread stays behind."""
    with Classifier.open(bundle_folder, "first,cpu", limits=PATIENT) as classifier:
        results = stream(classifier)
        next(results)
        accelerators.fail("abort")
        next(results)
        accelerators.fail("hang")
        next(result for result in results if len(accelerators.opened()) > 1)
        results.close()
    assert not any(Path(f"/proc/{child}").exists() for child in accelerators.opened())
    assert "linnet-supervisor" not in {thread.name for thread in threading.enumerate()}


# auto


@pytest.mark.parametrize(
    ("fault", "taken", "why"),
    [
        ("", "first", "first is ready: canary off by 0 logits"),
        ("absent", "cpu:litert", "auto: first is unavailable: no such board on the bus"),
        ("garbage", "cpu:litert", "first is left out (wrong answers): canary on first: got off by"),
    ],
)
def test_auto_takes_the_first_that_passes_its_canary_and_can_say_why(
    fault: str,
    taken: str,
    why: str,
    accelerators: Accelerators,
    bundle_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(registry.GROUPS, "auto", ("first", "cpu:litert"))
    accelerators.fail(fault)
    with caplog.at_level(logging.INFO, "linnet"), Classifier.open(bundle_folder) as classifier:
        assert next(stream(classifier)).classification.device == taken
    assert any(message.startswith(why) for message in caplog.messages)


def test_autos_accelerator_has_the_cpu_behind_it(
    accelerators: Accelerators, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.GROUPS, "auto", ("first", "second", "cpu:litert"))
    with Classifier.open(bundle_folder, limits=PATIENT) as classifier:
        accelerators.fail("abort")
        assert next(stream(classifier)).classification.device == "cpu:litert"
    assert not accelerators.opened("second")


# linnet run


def test_the_summary_lists_what_happened(accelerators: Accelerators, bundle_folder: Path) -> None:
    command = [sys.executable, "-m", "linnet_runtime.cli", "run", str(bundle_folder), "--source", "synthetic:"]
    command += ["--device", "first,cpu", "--deadline-ms", "30000", "--frames", "8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        accelerators.fail("abort")
        rest, said = process.stdout.read(), process.stderr.read()
    *lines, last = map(json.loads, (first + rest).splitlines())
    frames = [line for line in lines if "frame" in line]
    recalled, failover = (line for line in lines if "event" in line and "frame" not in line)
    summary = last["summary"]
    assert process.returncode == 0
    assert {frame["device"] for frame in frames} == {"first", "cpu:litert"}
    assert summary["frames_by_device"]["first"] + summary["frames_by_device"]["cpu:litert"] == len(frames) == 8
    assert summary["frames_repeated"] == 1
    (event,) = summary["events"]
    assert set(event) == {"device", "what", "reason", "at", "to", "seconds", "frames", "since"}
    assert (recalled["event"], recalled["device"], recalled["frames"]) == ("recalled", "first", event["frames"])
    assert recalled["since"] == frames[0]["canary_passed_at"]
    assert (failover["event"], failover["device"]) == ("failover", "first")
    assert (event["device"], event["what"], event["to"]) == ("first", "crash", "cpu:litert")
    (line,) = said.splitlines()
    assert line.startswith("WARNING: cpu:litert continues after ")
    assert "its process was ended by SIGABRT" in line


def test_explain_tells_why_each_device_is_taken_or_not(accelerators: Accelerators, bundle_folder: Path) -> None:
    accelerators.fail("absent")
    done = linnet("run", bundle_folder, "--source", "synthetic:", "--frames", 1, "--device", "first,cpu", "--explain")
    ready, left_out, *_ = done.stderr.splitlines()  # on a slow machine it is tried again meanwhile
    assert left_out == "WARNING: first is left out (absent): first: no such board on the bus. Fix: plug it in"
    assert re.fullmatch(r"INFO: cpu is ready: canary off by 0 logits, [\d.]+ allowed, 0 labels changed", ready)


@pytest.mark.parametrize("option", [("--deadline-ms", 0), ("--canary-every", 0)])
def test_a_limit_of_nothing_is_a_mistake(option: tuple[str, int], small_bundle: Path) -> None:
    done = linnet("run", small_bundle, "--source", "synthetic:", *option, status=2)
    assert option[0] in one_line_error(done)


def test_ctrl_c_ends_the_run_with_its_summary_and_its_children(accelerators: Accelerators, bundle_folder: Path) -> None:
    """On a terminal ctrl-C goes to all processes of the group."""
    command = [sys.executable, "-m", "linnet_runtime.cli", "run", str(bundle_folder), "--source", "synthetic:"]
    command += ["--device", "first", "--deadline-ms", "30000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        rest, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (0, "")
    assert json.loads(rest.splitlines()[-1])["summary"]["events"] == []
    (child,) = accelerators.opened()
    assert not Path(f"/proc/{child}").exists()


# linnet verify and linnet bench


@pytest.mark.parametrize(
    ("fault", "how"),
    [("abort", "its process was ended by SIGABRT, after printing: F driver/usb.cc"), ("raise", "the firmware says no")],
)
@pytest.mark.parametrize("command", [("verify",), ("bench", "--quick")], ids=" ".join)
def test_an_accelerator_that_fails_is_one_line(
    command: tuple[str, ...], fault: str, how: str, accelerators: Accelerators, bundle_folder: Path
) -> None:
    """There too it runs in a separate process."""
    accelerators.fail(fault)
    done = linnet(command[0], bundle_folder, *command[1:], "--device", "first", status=1)
    assert how in one_line_error(done)


@pytest.mark.usefixtures("accelerators")
def test_verify_and_bench_say_which_device_made_each_row(bundle_folder: Path) -> None:
    verdicts = json.loads(linnet("verify", bundle_folder, "--device", "first", "--json").stdout)["artifacts"]
    assert [(row["device"], row["canary"]["passed"]) for row in verdicts] == [("first", True)] * 2
    device = "first,cpu:litert"
    rows = json.loads(linnet("bench", bundle_folder, "--device", device, "--quick", "--json").stdout)["results"]
    assert [row["device"] for row in rows] == ["first", "cpu:litert"]
    assert rows[0]["peak_rss_mb"] > rows[1]["peak_rss_mb"]  # of both of its processes
