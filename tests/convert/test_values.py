"""What a model's outputs are, in every format: logits, probabilities that add up to 1, or one for each label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import onnx
import openvino
import pytest
import tensorflow as tf
from keras import layers

from foreign import CLASSES, SIDE, mobile
from linnet_convert.facts import OpenSides
from linnet_convert.readers import keras as keras_reader
from linnet_convert.readers import onnx as onnx_reader
from linnet_convert.readers import openvino as openvino_reader
from linnet_convert.readers import saved_model as saved_model_reader
from linnet_convert.readers import tflite as tflite_reader

SIGMOIDS = "independent_probabilities"
ENDINGS: dict[str, tuple[Any, str]] = {
    "none": (lambda x: x, "logits"),
    "softmax": (layers.Softmax(), "probabilities"),
    "sigmoid": (layers.Activation("sigmoid"), SIGMOIDS),
    "an operation on tensors": (keras.ops.sigmoid, SIGMOIDS),
    "a sigmoid and a linear activation": (
        lambda x: layers.Activation("linear")(layers.Activation("sigmoid")(x)),
        SIGMOIDS,
    ),
    "a sigmoid and a reshape": (lambda x: layers.Reshape((CLASSES,))(layers.Activation("sigmoid")(x)), SIGMOIDS),
}


def network(ending: str) -> keras.Model:
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, strides=2, activation="relu")(pixels))
    return keras.Model(pixels, ENDINGS[ending][0](layers.Dense(CLASSES)(x)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_keras_model_and_what_tensorflow_makes_of_it(ending: str, tmp_path: Path) -> None:
    """A .keras file, a SavedModel and a .tflite."""
    model, expected = network(ending), ENDINGS[ending][1]
    model.save(tmp_path / "model.keras")
    assert keras_reader.read(tmp_path / "model.keras", OpenSides()).values == expected
    function = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3))])
    concrete = function.get_concrete_function()
    model.export(tmp_path / "saved", verbose=False)
    assert saved_model_reader.read(tmp_path / "saved", OpenSides()).values == expected
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    converter.experimental_lower_to_saved_model = False
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    assert tflite_reader.read(tmp_path / "model.tflite", OpenSides()).values == expected


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ((), "logits"),
        ((("Softmax", {"axis": 1}),), "probabilities"),
        ((("Sigmoid", {}),), SIGMOIDS),
        ((("Sigmoid", {}), ("Flatten", {})), SIGMOIDS),
    ],
)
def test_an_onnx_and_the_ir_of_it(operators: tuple[tuple[str, Any], ...], expected: str, tmp_path: Path) -> None:
    graph, scores = mobile()
    for operator, attributes in operators:
        scores = graph.node(operator, scores, **attributes)
    onnx.save(graph.model(scores), tmp_path / "model.onnx")
    assert onnx_reader.read(tmp_path / "model.onnx", OpenSides()).values == expected
    openvino.save_model(openvino.convert_model(tmp_path / "model.onnx"), tmp_path / "model.xml")
    assert openvino_reader.read(tmp_path / "model.xml", OpenSides()).values == expected
