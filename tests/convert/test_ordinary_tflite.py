"""A .tflite in each form of TensorFlow's converter comes in, and computes what its bare engine computes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from bare_engines import lite
from foreign import CLASSES, SIDE
from linnet_convert import convert
from linnet_convert.facts import OpenSides
from linnet_convert.proof.parity import model_logits
from linnet_convert.readers import tflite as tflite_reader
from linnet_runtime.bundle import open_bundle
from linnet_runtime.probabilities import probabilities

LABELS = ("blue", "green", "red")
PIXELS = np.random.default_rng(5).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
NORMALIZED = ((PIXELS.astype(np.float32) - 127.5) / 127.5).astype(np.float32)
INT16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
SAYS: dict[str, Any] = {"labels": LABELS, "color": "rgb"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network with sigmoids as .tflite in the forms of TensorFlow's converter."""
    folder = tmp_path_factory.mktemp("ordinary")
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(48, 3, strides=4, activation="relu")(pixels)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(32, 3, activation="relu")(x))
    spread = keras.initializers.RandomNormal(0, 3.0)
    model = keras.Model(pixels, layers.Dense(CLASSES, activation="sigmoid", kernel_initializer=spread)(x))
    for name, options in {
        "fp16": {"types": [tf.float16]},
        "int8": {"photos": NORMALIZED},
        "16x8": {"photos": NORMALIZED, "ops": [INT16]},
        "dynamic": {},
    }.items():
        (folder / f"{name}.tflite").write_bytes(converted(model, **options))
    return folder


def converted(model: keras.Model, *, types: Any = (), photos: Any = None, ops: Any = None) -> bytes:
    function = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model)
    converter.experimental_lower_to_saved_model = False
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = list(types)
    if photos is not None:
        converter.representative_dataset = lambda: ([photo[None]] for photo in photos)
    if ops is not None:
        converter.target_spec.supported_ops = ops
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        return bytes(converter.convert())


def in_bundle(bundle: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The name and the probabilities for PIXELS of each of a bundle's models."""
    for artifact in open_bundle(bundle).artifacts:
        assert artifact.output.values == "independent_probabilities"
        yield Path(artifact.path).name, probabilities(model_logits(artifact.model(), PIXELS), 1.0, independent=True)


@pytest.mark.parametrize(
    ("name", "becomes", "within"),
    [
        ("fp16", ["model.fp16.tflite", "model.fp32.onnx", "fp16.xml"], 1e-3),
        ("int8", ["model.int8.tflite", "model.int8.onnx", "int8.xml"], 4 / 256),  # steps of a sigmoid
        ("16x8", ["model.int8.tflite"], 1e-3),
    ],
)
def test_a_tflite_in_a_form_of_tensorflows_converter_comes_in(
    name: str, becomes: list[str], within: float, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half-precision weights; int8 with float input and output; int16 activations, which no other format has."""
    expected = lite(folder / f"{name}.tflite", NORMALIZED)
    assert np.ptp(expected, axis=0).max() > 0.01
    convert(folder / f"{name}.tflite", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5)
    found = dict(in_bundle(tmp_path / "x.linnet"))
    assert list(found) == becomes
    for made, probability in found.items():
        np.testing.assert_allclose(probability, expected, atol=within, err_msg=made)
    assert ("only TensorFlow Lite computes them" in caplog.text) == (name == "16x8")


def test_dynamic_range_is_stated(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    facts = tflite_reader.read(folder / "dynamic.tflite", OpenSides())
    assert (facts.dynamic_range, facts.precision) == (True, "float32")
    convert(folder / "dynamic.tflite", tmp_path / "x.linnet", **SAYS, mean=127.5, std=127.5, formats=["tflite"])
    ((_, probability),) = in_bundle(tmp_path / "x.linnet")
    np.testing.assert_allclose(probability, lite(folder / "dynamic.tflite", NORMALIZED), atol=1e-3)
    assert "dynamic range: only its weights are integers" in caplog.text
