"""Placement is found out, and an accelerator that was asked for and does nothing is an error."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from linnet_devices import DeviceError, LinnetError, Model, OpenOptions, load_device
from linnet_devices.testing.faults import device_name
from linnet_devices.testing.samples import load_models, pattern_pictures
from program import linnet

FLOAT = next(model for model in load_models() if model.path.endswith("fp32.tflite"))
ONNX = next(model for model in load_models() if model.path.endswith("int8.onnx"))
ALLOWED = OpenOptions(allow_fallback=True)


# A TensorFlow Lite delegate (simulated)


@pytest.mark.parametrize(
    ("ops", "elsewhere"),
    [
        ("all", []),
        ("CONV_2D", ["QUANTIZE", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED", "QUANTIZE"]),
        ("QUANTIZE", ["CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED"]),  # two groups of one
        (
            "CONV_2D+DEPTHWISE_CONV_2D+FULLY_CONNECTED",
            ["QUANTIZE", "MEAN", "QUANTIZE"],
        ),  # a group of two and one of one
        ("QUANTIZE+DEPTHWISE_CONV_2D+FULLY_CONNECTED", ["CONV_2D", "MEAN"]),
    ],
)
def test_what_a_delegate_took_is_distinguished_from_what_the_cpu_has(
    fault_library: Path, int8_model: Model, ops: str, elsewhere: list[str]
) -> None:
    """XNNPACK, to which LiteRT gives the rest, is the CPU."""
    device = device_name(fault_library, ops=ops)
    with load_device(device).open(int8_model, OpenOptions()) as session:
        assert session.device == device
        assert (session.placement.device, session.placement.total) == (device, 6)
        assert session.placement.elsewhere == tuple(f"{op}: CPU" for op in elsewhere)
        assert session.placement.on_device == 6 - len(elsewhere)


def test_a_delegate_that_takes_nothing_is_an_error(fault_library: Path, int8_model: Model) -> None:
    with pytest.raises(DeviceError) as error:
        load_device(device_name(fault_library, ops="ADD")).open(int8_model, OpenOptions())
    assert "got 0 of 6 operations on it (2 QUANTIZE: CPU, 1 CONV_2D: CPU, 1 " in str(error.value)
    assert "allow_fallback=True" in str(error.value)


def test_a_fallback_that_was_allowed_says_that_the_cpu_ran(fault_library: Path, int8_model: Model) -> None:
    device = device_name(fault_library, ops="ADD")
    with load_device(device).open(int8_model, ALLOWED) as session:
        assert session.device == "cpu:litert"
        assert (session.placement.device, session.placement.share) == (device, 0)
        session.run(pattern_pictures())


@pytest.mark.parametrize("least", [0.0, 0.5, 4 / 6])
def test_a_share_that_is_reached_is_enough(fault_library: Path, int8_model: Model, least: float) -> None:
    device = load_device(device_name(fault_library, ops="CONV_2D+DEPTHWISE_CONV_2D+MEAN+FULLY_CONNECTED"))
    with device.open(int8_model, OpenOptions(require_placement=least)) as session:
        assert session.placement.on_device == 4


@pytest.mark.parametrize("allow_fallback", [False, True])
def test_a_share_that_is_not_reached_is_an_error(fault_library: Path, int8_model: Model, allow_fallback: bool) -> None:
    options = OpenOptions(allow_fallback=allow_fallback, require_placement=0.95)
    with pytest.raises(DeviceError, match=r"got 5 of 6 operations on it \(1 MEAN: CPU\), expected at least 95.0%"):
        load_device(device_name(fault_library, ops="QUANTIZE+CONV_2D+DEPTHWISE_CONV_2D+FULLY_CONNECTED")).open(
            int8_model, options
        )


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_of_0_to_1(share: float) -> None:
    with pytest.raises(LinnetError, match="require_placement"):
        OpenOptions(require_placement=share)


def test_the_cpus_engines_run_all_of_it() -> None:
    with load_device("cpu:litert").open(FLOAT, OpenOptions(require_placement=1)) as session:
        assert session.placement.share == 1


# ONNX Runtime's providers


def test_a_provider_that_takes_nothing_is_an_error() -> None:
    """Azure's takes no operation of any classifier, and onnxruntime runs the model on the CPU without a word."""
    with pytest.raises(DeviceError, match=r"got 0 of \d+ operations on it \(.*CPUExecutionProvider.*expected all of"):
        load_device("ort:Azure").open(ONNX, OpenOptions())


def test_a_providers_fallback_that_was_allowed_says_that_the_cpu_ran() -> None:
    with load_device("ort:Azure").open(ONNX, ALLOWED) as session:
        assert session.device == "cpu:onnx"
        assert session.placement.share == 0


def test_a_provider_that_this_onnxruntime_lacks_is_unavailable() -> None:
    """onnxruntime itself would warn, and take the CPU."""
    device = load_device("ort:CUDA")
    found = device.probe()
    assert not found.available
    assert found.reason.startswith("the installed onnxruntime has ")
    assert found.fix.endswith("pip install onnxruntime-gpu")
    with pytest.raises(DeviceError, match="the installed onnxruntime has"):
        device.open(ONNX, ALLOWED)


@pytest.mark.parametrize(
    ("name", "package"), [("ort:QNN", "onnxruntime-qnn"), ("ort:OpenVINO", "onnxruntime-ep-openvino")]
)
def test_a_plugin_provider_that_is_not_installed_names_its_package(name: str, package: str) -> None:
    """It is installed beside onnxruntime, and not in its place."""
    found = load_device(name).probe()
    assert not found.available
    assert found.reason == f"no module {package.replace('-', '_')}"
    assert found.fix == f"pip install {package}"


def test_a_providers_options_are_part_of_its_name() -> None:
    assert load_device("ort:QNN?htp_arch=75").targets == ("qnn:v75",)
    assert "qnn:v73" in load_device("ort:QNN").targets
    with pytest.raises(DeviceError, match="the option 'htp_arch', expected option=value"):
        load_device("ort:QNN?htp_arch")


def test_a_provider_that_no_onnxruntime_has_gets_the_known_ones() -> None:
    with pytest.raises(DeviceError, match=r"got 'ort:Qnn', expected one of .*QNN.* after ort:"):
        load_device("ort:Qnn")


# On the command line


def classify(bundle: Path, photos: Path, device: str, *options: str, status: int = 0) -> CompletedProcess[str]:
    photo = min(photos.rglob("*.jpg"))
    return linnet("classify", bundle, photo, "--device", device, *options, status=status)


def test_require_placement_gates(fault_library: Path, bundle_folder: Path, photos_folder: Path) -> None:
    device = device_name(fault_library, ops="CONV_2D")
    said = classify(bundle_folder, photos_folder, device, "--require-placement", "0.5")
    assert json.loads(said.stdout)["device"] == device
    refused = classify(bundle_folder, photos_folder, device, "--require-placement", "0.95", status=1)
    assert "got 35 of 66 operations on it (" in refused.stderr
    assert "expected at least 95.0%" in refused.stderr


def test_allow_fallback_lets_the_cpu_run_and_says_so(
    fault_library: Path, bundle_folder: Path, photos_folder: Path
) -> None:
    device = device_name(fault_library, ops="SOFTMAX")
    refused = classify(bundle_folder, photos_folder, device, status=1)
    assert "got 0 of 66 operations on it" in refused.stderr
    assert "--allow-fallback" in refused.stderr
    said = classify(bundle_folder, photos_folder, device, "--allow-fallback")
    assert json.loads(said.stdout)["device"] == "cpu:litert"
