"""A device: the wheel and one engine, without TensorFlow, Keras, pytest or this checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from environments import Environment
from program import ROOT, linnet, one_line_error


@pytest.fixture(scope="module")
def photo(photos_folder: Path) -> Path:
    return photos_folder / "gear" / "0000.jpg"


def test_litert_alone_classifies_a_photo_as_the_full_installation_does(
    litert: Environment, bundle_folder: Path, photo: Path
) -> None:
    here = linnet("classify", bundle_folder, photo, "--device", "cpu:litert").stdout
    assert json.loads(litert.run("linnet", "classify", bundle_folder, photo).stdout) == json.loads(here)


def test_tflite_runtime_alone_gives_the_same_label(tflite: Environment, bundle_folder: Path, photo: Path) -> None:
    here = json.loads(linnet("classify", bundle_folder, photo, "--device", "cpu:litert").stdout)
    there = json.loads(tflite.run("linnet", "classify", bundle_folder, photo).stdout)
    assert (there["label"], there["artifact"]) == (here["label"], here["artifact"])
    assert there["device"] == "cpu:litert"


def test_one_engine_gives_the_canaries_logits(environment: Environment, bundle_folder: Path) -> None:
    """Within the bundle's own tolerance, on eight pictures; the formats that it cannot read are skipped."""
    verdicts = json.loads(environment.run("linnet", "verify", bundle_folder, "--json").stdout)
    assert verdicts["passed"]
    run = {row["path"]: row["canary"]["passed"] for row in verdicts["artifacts"] if not row["skipped"]}
    assert run == {"model.int8.tflite": True, "model.fp32.tflite": True}


def test_litert_alone_exports_for_other_clients(litert: Environment, bundle_folder: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(bundle_folder, tmp_path / "parts.linnet")
    litert.run("linnet", "export", bundle, "--for", "mediapipe,frigate,pycoral")
    assert {path.parent.name for path in bundle.glob("for/*/model.tflite")} == {"mediapipe", "frigate", "pycoral"}


def test_preprocessing_gives_the_golden_bytes(environment: Environment) -> None:
    """Under OpenCV 5.0 with NumPy 2, and under OpenCV 4.11 with NumPy 1."""
    environment.run("python", ROOT / "tests" / "edge_runtime" / "golden.py")


def test_devices_says_what_is_here_and_how_to_get_the_others(environment: Environment) -> None:
    listed = json.loads(environment.run("linnet", "devices", "--json").stdout)["devices"]
    found = {row["device"]: row for row in listed}
    assert found["cpu:litert"]["available"]
    for name, extra in (("cpu:onnx", "onnx"), ("cpu:openvino", "openvino")):
        assert not found[name]["available"]
        assert found[name]["fix"] == f"pip install 'linnet[{extra}]'"
    for name in ("npu", "gpu"):
        assert not found[name]["available"]
        assert found[name]["fix"] in ("linnet doctor", "pip install 'linnet[openvino]'")  # without hardware, with it
    table = environment.run("linnet", "devices").stdout
    assert all(name in table for name in found)


def test_the_doctor_needs_no_more_than_a_device_has(environment: Environment) -> None:
    """Of what is broken on this machine it is told elsewhere; the engine and OpenCV are well."""
    command = [environment.folder / "bin" / "linnet", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    states = {chain["chain"]: chain["state"] for chain in json.loads(done.stdout)["chains"]}
    assert (states["engines"], states["opencv"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train", "photos", "--out", "run"], "train"),
        (["convert", "run", "--out", "parts.linnet"], "convert"),
        (["demo", "--out", "demo"], "all"),
    ],
)
def test_a_command_that_needs_more_names_its_extra(environment: Environment, arguments: list[str], extra: str) -> None:
    line = one_line_error(environment.run("linnet", *arguments, status=1))
    assert line.startswith(f"linnet {arguments[0]}: got no module ")
    assert line.endswith(f"Fix: pip install 'linnet[{extra}]'")


@pytest.mark.parametrize("command", ["train", "convert"])
def test_help_needs_no_extra(environment: Environment, command: str) -> None:
    assert "Usage: linnet" in environment.run("linnet", command, "--help").stdout


def test_the_conformance_suite_asks_for_pytest(litert: Environment) -> None:
    done = litert.run("python", "-c", "import linnet_devices.testing.conformance", status=1)
    assert "pytest" in done.stderr.splitlines()[-1]
