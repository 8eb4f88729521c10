"""Names of files and folders as people give them: signs that a converter could take for something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import openvino
import pytest
import tensorflow as tf
from keras import layers

from foreign import CLASSES, SIDE, mobile
from linnet_convert import convert, verify
from linnet_convert.errors import ConversionError
from linnet_runtime import Classifier

NAME = "a, b; [1] *? 'x' \"y\" %s {z} #é=1&$HOME~"
SAYS: dict[str, Any] = {"labels": ("blue", "green", "red"), "color": "rgb", "mean": 127.5, "std": 127.5}


def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, strides=2, activation="relu")(pixels))
    return keras.Model(pixels, layers.Dense(CLASSES)(x))


def to_onnx(folder: Path) -> Path:
    graph, scores = mobile()
    path = folder / f"{NAME}.onnx"
    onnx.save(graph.model(scores), path)
    return path


def to_ir(folder: Path) -> Path:
    graph, scores = mobile()
    onnx.save(graph.model(scores), folder.parent / "model.onnx")
    path = folder / f"{NAME}.xml"
    openvino.save_model(openvino.convert_model(folder.parent / "model.onnx"), path)
    return path


def to_keras(folder: Path) -> Path:
    path = folder / f"{NAME}.keras"
    network().save(path)
    return path


def to_saved_model(folder: Path) -> Path:
    network().export(folder.parent / "saved", verbose=False)
    return (folder.parent / "saved").rename(folder.parent / "a, b; 'x' \"y\" %s {z} #é=1&$HOME~")


def to_tflite(folder: Path) -> Path:
    model = network()
    function = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model)
    converter.experimental_lower_to_saved_model = False
    path = folder / f"{NAME}.tflite"
    path.write_bytes(converter.convert())
    return path


@pytest.mark.parametrize(
    ("write", "formats"),
    [(to_onnx, None), (to_ir, None), (to_tflite, None), (to_keras, ["tflite"]), (to_saved_model, ["tflite"])],
)
def test_a_name_may_have_any_signs(write: Callable[[Path], Path], formats: list[str] | None, tmp_path: Path) -> None:
    """OpenVINO took a comma in the name of the bundle for the separator of two files."""
    folder = tmp_path / NAME
    folder.mkdir()
    bundle = folder / f"{NAME}.linnet"
    convert(write(folder), bundle, formats=formats, **SAYS)
    assert all(verdict.passed for verdict in verify(bundle))
    with Classifier.open(bundle) as classifier:
        classifier.classify(np.zeros((9, 9, 3), np.uint8), color="rgb")
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == set()


@pytest.mark.parametrize("sign", "*?[\\")
def test_a_saved_model_in_a_path_that_tensorflow_takes_for_a_pattern_is_one_line(sign: str, tmp_path: Path) -> None:
    """It said that the variables are missing."""
    folder = tmp_path / f"saved {sign}1"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\0")
    with pytest.raises(ConversionError, match=r"in a path with one of \* \? \[ .*Fix: rename the folder"):
        convert(folder, tmp_path / "x.linnet", **SAYS)
