"""The models that ship with the conformance suite: small, complete, and made by the script beside this file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from linnet_devices import Artifact, OpenOptions, load_device
from linnet_devices.testing.samples import (
    ARTIFACTS,
    CLASSES,
    EXPECTED,
    MODELS,
    colour_pictures,
    expected_logits,
    load_artifacts,
    pattern_pictures,
)
from linnet_runtime.bundle import check_artifact

DEVICES = {"tflite": "cpu:litert", "onnx": "cpu:onnx", "openvino": "cpu:openvino"}


def test_the_files_are_those_of_their_entries() -> None:
    """Every file is there, whole, and named; git and the wheel have changed no byte."""
    artifacts = load_artifacts()
    for artifact in artifacts:
        check_artifact(artifact)
    files = {Path(artifact.path).name for artifact in artifacts}
    weights = {Path(artifact.weights.path).name for artifact in artifacts if artifact.weights}
    assert {path.name for path in MODELS.iterdir()} == files | weights | {ARTIFACTS, EXPECTED}


def test_there_is_a_model_in_every_format_and_precision() -> None:
    assert [(artifact.format, artifact.is_int8) for artifact in load_artifacts()] == [
        (kind, is_int8) for is_int8 in (True, False) for kind in DEVICES
    ]


def test_the_models_are_small() -> None:
    assert sum(path.stat().st_size for path in MODELS.iterdir()) < 100_000


def test_the_pictures_are_the_same_everywhere() -> None:
    """Expected logits are of these bytes."""
    digest = hashlib.sha256(pattern_pictures().tobytes()).hexdigest()
    assert digest == "77b3579d9b3ecfe816c9e78c4db47f6d20358addfc7a716105bee52a9674c102"


def test_the_suite_imports_nothing_heavy() -> None:
    """A plug-in's tests need neither an engine nor the layers above."""
    heavy = {"linnet_runtime", "tensorflow", "keras", "onnx", "onnxruntime", "openvino", "ai_edge_litert", "cv2"}
    program = f"import sys, linnet_devices.testing.conformance\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.fixture(scope="module")
def made_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "models"
    script = Path(__file__).with_name("make_conformance_models.py")
    subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, check=True)
    return folder


def _described(artifact: Artifact) -> tuple[object, ...]:
    ends = [(spec.name, spec.shape, spec.dtype, spec.layout) for spec in (artifact.input, artifact.output)]
    return artifact.format, artifact.precision, ends, artifact.requires


def test_the_script_still_makes_such_models(made_again: Path) -> None:
    """What training, quantisation and conversion make today is what the suite has."""
    assert [_described(a) for a in load_artifacts(made_again)] == [_described(a) for a in load_artifacts()]
    for artifact in load_artifacts(made_again):
        with load_device(DEVICES[artifact.format]).open(artifact, OpenOptions()) as session:
            named = [CLASSES[best] for best in session.run(colour_pictures()).argmax(axis=1)]
            assert named == list(CLASSES)
            expected = expected_logits(artifact, made_again)
            step = artifact.output.scale or float(np.ptp(expected)) / 255
            np.testing.assert_allclose(session.run(pattern_pictures()), expected, atol=3 * step)
