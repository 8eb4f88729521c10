"""The fault kit's delegate in both interpreters, on a device: LiteRT, and tflite-runtime with NumPy 1. Simulated."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from devices.edgetpu_model import write_compiled_model
from environments import Environment
from linnet_devices.testing import faults

_ASK = """
import ctypes, json, sys
import msgspec
from linnet_devices import Model, LinnetError, OpenOptions, load_device
from linnet_devices.testing.samples import color_pictures, load_models

device, given, libedgetpu = sys.argv[1:]
if libedgetpu:
    ctypes.CDLL(libedgetpu)  # the linker then knows it by its name
model = next(model for model in load_models() if model.format == "tflite")
if given:
    model = msgspec.json.decode(given, type=Model)
said = {}
try:
    with load_device(device).open(model, OpenOptions()) as session:
        said |= {"device": session.device, "share": session.placement.share}
        said["best"] = [session.run(color_pictures()).argmax(axis=1).tolist() for _ in range(2)]
except LinnetError as error:
    said |= {"error": type(error).__name__, "line": str(error)}
print(json.dumps(said))
"""

RIGHT = [[0, 1, 2], [0, 1, 2]]


@pytest.fixture(scope="module")
def library(environment: Environment) -> Path:
    """Built by the wheel itself, where no pytest is."""
    if faults.compiler() is None:
        pytest.skip("no C compiler")
    done = environment.run("python", "-m", "linnet_devices.testing.faults", environment.folder / "faults")
    return Path(done.stdout.strip().removeprefix("delegate:"))


def ask(environment: Environment, device: str, model: str = "", libedgetpu: Path | str = "") -> dict[str, object]:
    return json.loads(environment.run("python", "-c", _ASK, device, model, libedgetpu).stdout)


@pytest.mark.parametrize(("ops", "share"), [("all", 1.0), ("CONV_2D+MEAN", 2 / 6)])
def test_what_a_delegate_takes_is_found_and_right(
    environment: Environment, library: Path, ops: str, share: float
) -> None:
    device = faults.device_name(library, ops=ops)
    assert ask(environment, device) == {"device": device, "share": share, "best": RIGHT}


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"fault": "absent"}, "DeviceUnavailable", "its library reports no reason"),
        ({"fault": "create"}, "DeviceUnavailable", "the delegate cannot be created"),
        ({"fault": "prepare"}, "DeviceError", "the delegate cannot prepare its operations"),
        ({"fault": "invoke"}, "DeviceError", "the accelerator does not answer"),
        ({"ops": "ADD"}, "DeviceError", "got 0 of 6 operations on it"),
    ],
)
def test_a_failure_is_one_line_in_the_same_words(
    environment: Environment, library: Path, options: dict[str, str], error: str, reason: str
) -> None:
    said = ask(environment, faults.device_name(library, **options))
    assert said["error"] == error
    assert reason in str(said["line"])
    assert "\n" not in str(said["line"])


def test_garbage_is_given_as_it_comes(environment: Environment, library: Path) -> None:
    assert ask(environment, faults.device_name(library, fault="garbage"))["best"] != RIGHT


def test_abort_takes_the_process_along(environment: Environment, library: Path) -> None:
    device = faults.device_name(library, fault="abort")
    environment.run("python", "-c", _ASK, device, "", "", status=-signal.SIGABRT)


@pytest.mark.skipif(sys.platform != "linux", reason="libedgetpu's stand-in has its name from Linux's linker")
def test_a_compiled_model_runs_on_corals_stand_in(environment: Environment, library: Path, tmp_path: Path) -> None:
    model = write_compiled_model(tmp_path / "model_edgetpu.tflite")
    libedgetpu = faults.build_edgetpu(tmp_path)
    said = ask(environment, "coral:usb", msgspec.json.encode(model).decode(), libedgetpu)
    assert said == {"device": "coral:usb", "share": 1.0, "best": RIGHT}
