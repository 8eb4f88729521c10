"""The fault kit: a delegate that computes what the CPU does until it fails on request. All of it is simulated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from linnet_devices import DeviceError, DeviceUnavailable, Model, OpenOptions, Session, load_device
from linnet_devices.testing import faults
from linnet_devices.testing.faults import device_name
from linnet_devices.testing.samples import load_models, pattern_pictures
from program import PATIENCE_S

MODELS = [model for model in load_models() if model.format == "tflite"]
ONE = pattern_pictures()[:1]


def open_session(library: Path, model: Model, **options: str | int | Path) -> Session:
    return load_device(device_name(library, **options)).open(model, OpenOptions(threads=1))


def cpu_outputs(model: Model) -> NDArray[np.float32]:
    """What TensorFlow Lite's own kernels compute for the pattern pictures, without XNNPACK, in logits."""
    without_xnnpack = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model.path, experimental_op_resolver_type=without_xnnpack)
    interpreter.allocate_tensors()
    rows = []
    for picture in pattern_pictures():
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    scale, zero_point = model.output.scale or 1.0, model.output.zero_point or 0
    return (np.array(rows, np.float32) - np.float32(zero_point)) * np.float32(scale)


# While it is well


@pytest.mark.parametrize("ops", ["all", "CONV_2D", "DEPTHWISE_CONV_2D+MEAN"])
@pytest.mark.parametrize("model", MODELS, ids=[model.precision for model in MODELS])
def test_it_computes_what_it_claims(fault_library: Path, model: Model, ops: str) -> None:
    """Its kernels are the CPU's; where XNNPACK computes the rest, that rounds in its own way."""
    with open_session(fault_library, model, ops=ops) as session:
        logits = session.run(pattern_pictures())
    off = np.abs(logits - cpu_outputs(model)).max()
    assert off == 0 if ops == "all" else off <= (model.output.scale or 1e-5)


def test_a_delegate_is_built_for_the_machine_and_its_device_printed(fault_library: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "linnet_devices.testing.faults", str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"delegate:{tmp_path / 'new' / faults.LIBRARY}\n"
    assert load_device(done.stdout.strip()).probe().available


# Faults that leave the process alive


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("create", "simulated: the delegate cannot be created"),
        ("absent", "no accelerator; its library reports no reason"),
    ],
)
def test_a_delegate_that_is_not_created_is_unavailable(
    fault_library: Path, int8_model: Model, fault: str, reason: str
) -> None:
    with pytest.raises(DeviceUnavailable) as error:
        open_session(fault_library, int8_model, fault=fault)
    assert error.value.got == reason
    assert error.value.fix


def test_a_delegate_that_cannot_prepare_is_an_error_at_open(fault_library: Path, int8_model: Model) -> None:
    with pytest.raises(DeviceError, match="cannot prepare its operations") as error:
        open_session(fault_library, int8_model, fault="prepare")
    assert device_name(fault_library, fault="prepare") in str(error.value)
    assert "\n" not in str(error.value)


def test_an_inference_that_fails_says_so_each_time_alike(fault_library: Path, int8_model: Model) -> None:
    """TensorFlow Lite appends to what it said before; a user reads each failure once."""
    lines = []
    with open_session(fault_library, int8_model, fault="invoke") as session:
        for _ in range(3):
            with pytest.raises(DeviceError, match="simulated: the accelerator does not answer") as error:
                session.run(ONE)
            lines.append(str(error.value))
    assert len(set(lines)) == 1
    assert "\n" not in lines[0]


def test_a_fault_comes_after_as_many_inferences_as_asked_for(fault_library: Path, int8_model: Model) -> None:
    with open_session(fault_library, int8_model, fault="invoke", after=3) as session:
        for _ in range(3):
            session.run(ONE)
        with pytest.raises(DeviceError):
            session.run(ONE)


@pytest.mark.parametrize("model", MODELS, ids=[model.precision for model in MODELS])
def test_garbage_is_far_from_the_logits(fault_library: Path, model: Model) -> None:
    with open_session(fault_library, model, fault="garbage", after=1) as session:
        right, wrong = session.run(ONE), session.run(ONE)
    np.testing.assert_array_equal(right, cpu_outputs(model)[:1])
    assert not np.abs(wrong - right).max() < 0.2


def test_a_slow_one_is_right_in_the_end(fault_library: Path, int8_model: Model) -> None:
    with open_session(fault_library, int8_model, fault="slow", ms=1) as session:
        np.testing.assert_array_equal(session.run(ONE), cpu_outputs(int8_model)[:1])


def test_a_fault_lasts_while_its_file_exists(fault_library: Path, int8_model: Model, tmp_path: Path) -> None:
    """So that a rehearsal ends as it begins: the accelerator fails, and comes back."""
    unplugged = tmp_path / "unplugged"
    with open_session(fault_library, int8_model, fault="invoke", while_=unplugged) as session:
        session.run(ONE)
        unplugged.touch()
        with pytest.raises(DeviceError):
            session.run(ONE)
        unplugged.unlink()
        session.run(ONE)


# Faults that take the process along

_CHILD = """
import sys
import numpy as np
from linnet_devices import OpenOptions, load_device
from linnet_devices.testing.samples import load_models

model = next(a for a in load_models() if a.format == "tflite")
session = load_device(sys.argv[1]).open(model, OpenOptions())
pixels = np.zeros((1, 24, 32, 3), np.uint8)
session.run(pixels)
print("one", flush=True)
session.run(pixels)
print("two", flush=True)
session.close()
"""


def start_child(library: Path, fault: str) -> subprocess.Popen[str]:
    """A process that runs two inferences; the second one has the fault."""
    command = [sys.executable, "-c", _CHILD, device_name(library, fault=fault, after=1)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_abort_ends_the_process(fault_library: Path) -> None:
    child = start_child(fault_library, "abort")
    said, _ = child.communicate(timeout=PATIENCE_S)
    assert said == "one\n"
    assert child.returncode == -signal.SIGABRT


def test_hang_never_ends(fault_library: Path) -> None:
    child = start_child(fault_library, "hang")
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "one\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
    finally:
        child.kill()
        said, _ = child.communicate()
    assert said == ""


# Options


def test_the_environment_has_the_options_of_a_delegate_that_is_given_none(
    fault_library: Path, int8_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Coral's stand-in gets its faults so; options that are given go before."""
    monkeypatch.setenv(faults.ENVIRONMENT, "fault=invoke&after=1")
    with open_session(fault_library, int8_model, after=2) as session:
        session.run(ONE)
        session.run(ONE)
        with pytest.raises(DeviceError):
            session.run(ONE)


@pytest.mark.parametrize("options", [{"falt": "abort"}, {"fault": "abrt"}, {"fault": "create|absent"}])
def test_a_slip_in_an_option_is_refused(fault_library: Path, int8_model: Model, options: dict[str, str]) -> None:
    """A rehearsal in which nothing fails would prove nothing."""
    with pytest.raises(DeviceUnavailable, match="an option that the fault delegate does not know"):
        open_session(fault_library, int8_model, **options)


@pytest.mark.parametrize("fault", faults.FAULTS)
def test_every_fault_of_the_kit_is_one_of_the_delegates(
    fault_library: Path, int8_model: Model, fault: str, tmp_path: Path
) -> None:
    """The delegate knows its name; with nothing to last for, it is well."""
    with open_session(fault_library, int8_model, fault=fault, while_=tmp_path / "never") as session:
        session.run(ONE)


# No compiler


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert faults.compiler() is None
    with pytest.raises(DeviceUnavailable, match=r"no C compiler, expected cc, gcc or clang\. Fix: apt install gcc"):
        faults.build_delegate(tmp_path / "kit")


@pytest.mark.skipif(not Path("/bin/false").exists(), reason="no /bin/false to be a compiler that fails")
def test_a_compiler_that_fails_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "linnet_devices.testing.faults", str(tmp_path)]
    environment = os.environ | {"CC": "/bin/false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the fault kit in /bin/false")
    assert len(done.stderr.splitlines()) == 1
