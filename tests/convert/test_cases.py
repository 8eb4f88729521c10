"""Each model of shared/cases, from its file to a label, with the probability that its bare engine gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from linnet_convert import convert, verify
from linnet_convert.errors import ConversionError
from linnet_convert.proof.parity import model_logits
from linnet_runtime import Classifier, read_picture
from linnet_runtime.bundle import open_bundle
from linnet_runtime.preprocess import Preprocess, preprocess
from linnet_runtime.probabilities import probabilities, softmax
from program import CASES, DATA, needs_cases, needs_data

pytestmark = [needs_cases, needs_data]

MODELS = CASES / "models"
LABELS = ("bolt", "empty_belt", "gear", "nut")
SIDE = 32
PHOTOS = [DATA / "photos" / "trash" / name for name in ("glass/glass1.jpg", "metal/metal1.jpg", "paper/paper1.jpg")]
NORMALIZED: dict[str, Any] = {"mean": 127.5, "std": 127.5}
PIXELS: dict[str, Any] = {"mean": 0, "std": 1}  # the .tflite and .keras files normalize inside
TFLITE: dict[str, Any] = {"formats": ["tflite"]}  # from which the other formats are made
TOLERANCE = {"float32": 1e-4, "float16": 0.01, "int8": 0.06}  # the largest difference of a probability


@dataclass(frozen=True)
class Case:
    """A model file and what its user states about it."""

    file: str
    states: dict[str, Any] = field(default_factory=dict)
    labels: str = "labels.txt"
    independent: bool = False

    def __str__(self) -> str:
        return "-".join([self.file, *self.states])


CASE_LIST = [
    Case("dynsame.tflite", {**PIXELS, "size": SIDE}),
    Case("fixsame.tflite", PIXELS),
    Case("optimum.onnx", {**NORMALIZED, "layout": "NCHW", "size": SIDE}),
    Case("outdyn.onnx", NORMALIZED),
    Case("fp16.tflite", PIXELS),
    Case("fp16.onnx", NORMALIZED),
    Case("i8floatio.tflite", PIXELS),
    Case("f32.tflite", PIXELS, labels="labels_index_prefix.txt"),
    Case("seqaug.keras", {**TFLITE, **PIXELS}),
    Case("seqaug.keras", TFLITE),
    Case("norm.keras", {**TFLITE, **PIXELS}),
    Case("norm.keras", TFLITE),
    Case("sigm.onnx", NORMALIZED, independent=True),
]


def preprocessed() -> NDArray[np.uint8]:
    """uint8 RGB [N, SIDE, SIDE, 3]: the photos, and plain colors, for which the models differ most."""
    spec = Preprocess(height=SIDE, width=SIDE)
    photos = [preprocess(read_picture(photo), spec, color="bgr") for photo in PHOTOS]
    plain = [np.full((SIDE, SIDE, 3), color, np.uint8) for color in (0, 255, (255, 0, 0), (0, 0, 255))]
    return np.stack([*photos, *plain])


def by_the_bare_engine(file: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The file's own outputs, float32 [N, classes]: nothing of Linnet takes part."""
    if file.suffix == ".keras":
        return np.asarray(keras.models.load_model(file)(pixels.astype(np.float32), training=False))
    if file.suffix == ".onnx":
        normalized = (pixels.astype(np.float32) - 127.5) / 127.5
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        put = session.get_inputs()[0]
        dtype = np.float16 if put.type == "tensor(float16)" else np.float32
        scores = session.run(None, {put.name: normalized.transpose(0, 3, 1, 2).astype(dtype)})[0]
        return np.asarray(scores, np.float32)
    interpreter = Interpreter(str(file))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], pixels.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels.astype(np.float32))
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def expected_probabilities(file: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 [N, classes]; three of the models end in logits, the others in probabilities."""
    scores = by_the_bare_engine(file, pixels)
    return softmax(scores) if file.name in ("optimum.onnx", "outdyn.onnx", "fp16.onnx") else scores


@pytest.mark.parametrize("case", CASE_LIST, ids=str)
def test_a_case_gives_the_probability_of_its_bare_engine_in_every_format(case: Case, tmp_path: Path) -> None:
    """Through the whole program: conversion with its proof, each artifact's probabilities, the classifier's own
    decision from the photo's file, and the bundle's check.
    """
    out = tmp_path / "case.linnet"
    convert(MODELS / case.file, out, labels=MODELS / case.labels, color="rgb", **case.states)
    pixels = preprocessed()
    expected = expected_probabilities(MODELS / case.file, pixels)
    assert np.ptp(expected, axis=0).max() > 0.5, "the pictures must differ, or any constant would do"
    bundle = open_bundle(out)
    assert bundle.labels == LABELS
    for artifact in bundle.artifacts:
        assert artifact.output.is_independent == case.independent
        got = probabilities(model_logits(artifact.model(), pixels), bundle.temperature, independent=case.independent)
        np.testing.assert_allclose(got, expected, atol=TOLERANCE[artifact.precision], err_msg=artifact.path)
    with Classifier.open(out, "cpu") as classifier:
        for photo, row in zip(PHOTOS, expected, strict=False):
            result = classifier.classify(read_picture(photo), color="bgr")
            step = TOLERANCE[classifier.session.model.precision]
            assert result.independent == case.independent
            assert dict(result.top) == pytest.approx(dict(zip(LABELS, row.tolist(), strict=True)), abs=step)
            assert result.label in {LABELS[i] for i in np.flatnonzero(row >= row.max() - step)}
    assert all(verdict.passed for verdict in verify(out))


@pytest.mark.parametrize("case", [Case("dynsame.tflite"), Case("optimum.onnx", {"layout": "NCHW"})], ids=str)
def test_an_open_size_that_nobody_states_is_asked_for(case: Case, tmp_path: Path) -> None:
    says = {"labels": MODELS / case.labels, "color": "rgb", **NORMALIZED, **case.states}
    with pytest.raises(ConversionError, match="got no size in the file"):
        convert(MODELS / case.file, tmp_path / "case.linnet", **says)
    assert not list(tmp_path.iterdir())


def test_the_same_weights_with_an_open_and_with_a_fixed_size_compute_the_same() -> None:
    """What the case's right value rests on: one file's answer is the other's."""
    pixels = preprocessed()
    opened, fixed = (by_the_bare_engine(MODELS / name, pixels) for name in ("dynsame.tflite", "fixsame.tflite"))
    np.testing.assert_allclose(opened, fixed, atol=1e-5)
