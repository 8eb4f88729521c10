"""The models that ship with the conformance suite: small, complete, and made by the script beside this file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from linnet_devices import Model, OpenOptions, load_device
from linnet_devices.testing.samples import (
    CLASSES,
    DIGESTS,
    ENTRIES,
    EXPECTED,
    MODELS,
    color_pictures,
    expected_logits,
    load_models,
    pattern_pictures,
)

DEVICES = {"tflite": "cpu:litert", "onnx": "cpu:onnx", "openvino": "cpu:openvino"}


def test_the_files_are_those_of_their_entries() -> None:
    """Every file is there, whole, and named; git and the wheel have changed no byte."""
    models = load_models()
    for line in (MODELS / DIGESTS).read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((MODELS / name).read_bytes()).hexdigest() == digest, name
    files = {Path(model.path).name for model in models}
    weights = {Path(model.weights).name for model in models if model.weights}
    assert {path.name for path in MODELS.iterdir()} == files | weights | {ENTRIES, EXPECTED, DIGESTS}


def test_there_is_a_model_in_every_format_and_precision() -> None:
    assert [(model.format, model.precision == "int8") for model in load_models()] == [
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


def _described(model: Model) -> tuple[object, ...]:
    ends = [(spec.name, spec.shape, spec.dtype, spec.layout) for spec in (model.input, model.output)]
    return model.format, model.precision, ends, model.compiled_for


def test_the_script_still_makes_such_models(made_again: Path) -> None:
    """What training, quantization and conversion make today is what the suite has."""
    assert [_described(a) for a in load_models(made_again)] == [_described(a) for a in load_models()]
    for model in load_models(made_again):
        with load_device(DEVICES[model.format]).open(model, OpenOptions()) as session:
            named = [CLASSES[best] for best in session.run(color_pictures()).argmax(axis=1)]
            assert named == list(CLASSES)
            expected = expected_logits(model, made_again)
            step = model.output.scale or float(np.ptp(expected)) / 255
            np.testing.assert_allclose(session.run(pattern_pictures()), expected, atol=6 * step)
