"""The device ``coral``. No Edge TPU was at hand: the fault kit's delegate stands in for libedgetpu, under its name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devices.edgetpu_model import write_compiled_model
from devices.run_conformance import run_suite
from linnet_devices import DeviceError, DeviceUnavailable, Model, OpenOptions, load_device
from linnet_devices.presets import EDGETPU_LIBRARY
from linnet_devices.registry import probe
from linnet_devices.testing.samples import CLASSES
from linnet_runtime.bundle import Artifact, Bundle, Provenance
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.sessions import find_artifact
from program import DATA, linnet, needs_data


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Simulated: a model with nothing but ``edgetpu-custom-op`` in it."""
    return write_compiled_model(tmp_path_factory.mktemp("models") / "model.int8_edgetpu.tflite")


_CHILD = """
import json, sys
import msgspec
from linnet_devices import Model, LinnetError, OpenOptions, load_device
from linnet_devices.testing.samples import color_pictures

name, model = sys.argv[1], msgspec.json.decode(sys.argv[2], type=Model)
said = {}
try:
    device = load_device(name)
    found = device.probe()
    said |= {"available": found.available, "reason": found.reason, "details": found.details}
    with device.open(model, OpenOptions()) as session:
        placement = session.placement
        said |= {"device": session.device, "on_device": placement.on_device, "elsewhere": placement.elsewhere}
        if model.input.shape == (1, 24, 32, 3):
            said["best"] = session.run(color_pictures()).argmax(axis=1).tolist()
except LinnetError as error:
    said |= {"error": type(error).__name__, "line": str(error)}
print(json.dumps(said))
"""


def ask(folder: Path, name: str, model: Model, faults: str = "") -> dict[str, Any]:
    """The report of a process that has the stand-in where the linker looks for libedgetpu."""
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder), "LINNET_FAULT": faults}
    command = [sys.executable, "-c", _CHILD, name, msgspec.json.encode(model).decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


# Names


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("coral", {}),
        ("coral:usb", {"device": "usb"}),
        ("coral:usb:1", {"device": "usb:1"}),
        ("coral:pci", {"device": "pci"}),
        ("coral:pci:0", {"device": "pci:0"}),
    ],
)
def test_a_name_is_libedgetpus_option(name: str, option: dict[str, str]) -> None:
    device = load_device(name)
    assert (device.name, device.options) == (name, option)


@pytest.mark.parametrize(
    "name", ["coral:", "coral:1", "coral:usb:", "coral:usb:-1", "coral:usb:x", "coral:eth", "coral:usb:1:2"]
)
def test_a_wrong_name_gets_the_right_ones(name: str) -> None:
    with pytest.raises(DeviceError, match="expected coral, coral:usb, coral:usb:N, coral:pci or coral:pci:N") as error:
        load_device(name)
    assert repr(name) in str(error.value)


# Without hardware


def test_without_libedgetpu_it_says_what_to_install() -> None:
    found = probe("coral")
    if found.available:
        pytest.skip("an Edge TPU is connected")
    assert EDGETPU_LIBRARY in found.reason or "Edge TPU" in found.reason
    assert found.fix.startswith("install libedgetpu1-std")


def test_a_model_that_was_not_compiled_is_refused_with_the_command_that_compiles_it(int8_model: Model) -> None:
    """libedgetpu would take nothing of it, and the CPU would run it without a word."""
    with pytest.raises(DeviceError) as error:
        load_device("coral").open(int8_model, OpenOptions(allow_fallback=True))
    assert str(error.value).startswith(f"{int8_model.path} on coral: got a model that was not compiled")
    assert str(error.value).endswith(f"Fix: edgetpu_compiler {int8_model.path}")


def test_a_file_that_is_no_model_is_refused(int8_model: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"not a model")
    with pytest.raises(DeviceError, match=r"model\.tflite"):
        load_device("coral").open(msgspec.structs.replace(int8_model, path=str(path)), OpenOptions())


# With the stand-in


@pytest.mark.parametrize("name", ["coral", "coral:usb", "coral:usb:0"])
def test_a_compiled_model_runs_on_the_stand_in(edgetpu_folder: Path, compiled: Model, name: str) -> None:
    said = ask(edgetpu_folder, name, compiled)
    assert said["available"]
    assert said["details"]["library"] == EDGETPU_LIBRARY
    assert said["details"]["hardware"] == "Edge TPU on usb"
    assert (said["device"], said["on_device"], said["elsewhere"]) == (name, 1, [])
    assert said["best"] == list(range(len(CLASSES)))


@pytest.mark.parametrize("name", ["coral:usb:1", "coral:pci", "coral:pci:0"])
def test_an_accelerator_that_is_not_plugged_in_is_an_error_with_those_that_are(
    edgetpu_folder: Path, compiled: Model, name: str
) -> None:
    said = ask(edgetpu_folder, name, compiled)
    assert not said["available"]
    assert said["reason"] == "libedgetpu finds Edge TPUs on usb"


def test_without_an_accelerator_the_library_says_so(edgetpu_folder: Path, compiled: Model) -> None:
    said = ask(edgetpu_folder, "coral", compiled, "fault=absent")
    assert not said["available"]
    assert said["reason"] == "libedgetpu finds no Edge TPU"
    assert said["error"] == "DeviceUnavailable"


@needs_data
def test_a_model_that_corals_compiler_made_is_taken_whole(edgetpu_folder: Path, compiled: Model) -> None:
    """What it computes is not known without an Edge TPU; that its operation is found and claimed, is."""
    path = DATA / "models" / "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
    pixels = msgspec.structs.replace(compiled.input, shape=(1, 128, 128, 3))
    logits = msgspec.structs.replace(compiled.output, shape=(1, 1001))
    said = ask(edgetpu_folder, "coral", msgspec.structs.replace(compiled, path=str(path), input=pixels, output=logits))
    assert (said["device"], said["on_device"], said["elsewhere"]) == ("coral", 1, [])


_SUITE = """
import msgspec
from linnet_devices.api import Model
from linnet_devices.testing.conformance import SimulatedDeviceConformance

class TestCoral(SimulatedDeviceConformance):
    device = "coral"
    models = (msgspec.json.decode({model!r}, type=Model),)
"""


def test_the_stand_in_passes_the_conformance_suite(edgetpu_folder: Path, compiled: Model, tmp_path: Path) -> None:
    """Simulated: opening, placement, threads and closing are libedgetpu's way; the numbers are the stand-in's."""
    run_suite(tmp_path, _SUITE.format(model=msgspec.json.encode(compiled)), LD_LIBRARY_PATH=str(edgetpu_folder))


# In a bundle


def row(model: Model) -> Artifact:
    return Artifact(
        path=model.path,
        format=model.format,
        precision=model.precision,
        bytes=0,
        sha256="",
        input=model.input,
        output=model.output,
        requires={"delegate": model.compiled_for} if model.compiled_for else {},
    )


def bundle(*models: Model) -> Bundle:
    return Bundle(
        schema=1,
        name="parts",
        labels=CLASSES,
        preprocess=Preprocess(height=24, width=32),
        artifacts=tuple(row(model) for model in models),
        provenance=Provenance(source="", created="", versions={}),
    )


def test_the_compiled_model_of_a_bundle_is_corals_alone(int8_model: Model, compiled: Model) -> None:
    for both in (bundle(int8_model, compiled), bundle(compiled, int8_model)):
        assert find_artifact(both, load_device("coral"), "int8").model() == compiled
        assert find_artifact(both, load_device("cpu:litert"), "int8").model() == int8_model


def test_verify_asks_the_cpu_nothing_about_a_compiled_model(bundle_folder: Path, tmp_path: Path) -> None:
    """It could not even load it."""
    copy = shutil.copytree(bundle_folder, tmp_path / "parts.linnet")
    shutil.copy(copy / "model.int8.tflite", copy / "model.int8_edgetpu.tflite")
    manifest = json.loads((copy / "bundle.json").read_bytes())
    int8 = next(entry for entry in manifest["artifacts"] if entry["path"] == "model.int8.tflite")
    manifest["artifacts"] += [int8 | {"path": "model.int8_edgetpu.tflite", "requires": {"delegate": "edgetpu"}}]
    (copy / "bundle.json").write_text(json.dumps(manifest))
    verdicts = json.loads(linnet("verify", copy, "--device", "cpu:litert", "--json").stdout)
    assert [row["path"] for row in verdicts["artifacts"]] == ["model.int8.tflite", "model.fp32.tflite"]
    assert verdicts["passed"]


def test_a_bundle_without_one_is_refused_with_the_command_that_compiles_it(int8_model: Model) -> None:
    with pytest.raises(DeviceUnavailable, match=r"Fix: linnet compile parts\.linnet --target edgetpu"):
        find_artifact(bundle(int8_model), load_device("coral"), "int8")
