"""A .keras or an .h5 of Keras: float, or quantized by Linnet."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import h5py
import keras
import msgspec
import numpy as np

from linnet_convert.errors import ConversionError
from linnet_convert.facts import (
    IDENTITY,
    Facts,
    Metadata,
    OpenSides,
    TensorFacts,
    Values,
    check_classes,
    check_picture,
    close_sides,
)
from linnet_convert.readers.closing import noise, sums_to_one
from linnet_convert.readers.keras_config import check_layers
from linnet_convert.readers.keras_input import split_beginning
from linnet_train.quantization import fake_quantize_layers

_MOVES = {"Reshape", "Flatten", "Identity", "Dropout", "Cast", "Squeeze"}
_VALUES: dict[str, Values] = {"softmax": "probabilities", "sigmoid": "independent_probabilities"}
_NETWORKS = {"Functional": "keras.src.models.functional", "Sequential": "keras"}
# Arguments that Keras 2 wrote and its layer made no use of.
_GONE = {
    "Conv2DTranspose": ("groups",),
    "DepthwiseConv2D": ("groups",),
    "SeparableConv2D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
}
_MOST_SAID = 200
_SAVED_MODEL = "where it was made: tf.saved_model.save(model, 'FOLDER'), and convert FOLDER"


def load(path: Path) -> keras.Model:
    """The network in a .keras, or in an .h5 of Keras 2 or 3.

    Raises:
        ConversionError: an .h5 whose layers this Keras cannot build.
        Exception: whatever Keras raises for a damaged .keras.
    """
    if path.suffix.lower() == ".keras":
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.h5"
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            file.attrs["model_config"] = json.dumps(_of_keras_3(config)).encode()
        try:
            return keras.saving.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:  # layers of Keras 2 that Keras 3 does not know fail in many ways
            got = " ".join(str(error).split())[:_MOST_SAID] or type(error).__name__
            raise ConversionError(str(path), got=got, expected="layers that Keras 3 has", fix=_SAVED_MODEL) from error


def _of_keras_3(config: Any) -> Any:
    """The configuration of a model of Keras 2 in the words of Keras 3."""
    if isinstance(config, list):
        return [_of_keras_3(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    converted = {key: _of_keras_3(value) for key, value in config.items()}
    name, inner = converted.get("class_name"), converted.get("config")
    if name in _NETWORKS and "module" in converted:  # Keras 2 kept them in other modules
        converted |= {"module": _NETWORKS[name], "registered_name": name}
    if isinstance(inner, dict):
        _adapt(str(name), inner)
    return converted


def _adapt(name: str, inner: dict[str, Any]) -> None:
    """Changes the arguments of a layer or a network that Keras 3 reads in another way."""
    for argument in _GONE.get(name, ()):
        inner.pop(argument, None)
    if name == "BatchNormalization" and isinstance(inner.get("axis"), list):
        (inner["axis"],) = inner["axis"]
    if isinstance(inner.get("layers"), list):
        inner["layers"] = _with_input_layer(inner["layers"])
    for ends in ("input_layers", "output_layers"):
        tensors = inner.get(ends)
        if isinstance(tensors, list) and len(tensors) == 1:  # a list of one, which Keras 3 would give back as a list
            (inner[ends],) = tensors


def _with_input_layer(entries: list[Any]) -> list[Any]:
    """A model's layers where the first of them may have the input's shape as an argument."""
    shapes = [
        entry["config"].pop("batch_input_shape", None)
        for entry in entries
        if isinstance(entry.get("config"), dict) and entry.get("class_name") != "InputLayer"
    ]
    if len(shapes) < len(entries) or not shapes or shapes[0] is None:
        return entries
    name = f"{entries[0]['config'].get('name', 'first')}_input"
    return [{"class_name": "InputLayer", "config": {"batch_input_shape": shapes[0], "name": name}}, *entries]


def read(path: Path, sides: OpenSides) -> Facts:
    """Reads it, closes what it leaves open, and runs it once. Raises as ``readers.tflite.read``."""
    check_layers(path)
    model = load(path)
    if not getattr(model, "inputs", None):
        fix = "a keras.Input as its first layer, and model.save again"
        raise ConversionError(str(path), got="a model without an input of a shape", expected="[N, H, W, 3]", fix=fix)
    given, wanted = check_picture(str(path), _tensors(model.inputs), _tensors(model.outputs))
    given = msgspec.structs.replace(given, shape=close_sides(given.shape, OpenSides(size=sides.size, layout="NHWC")))
    values = _values(model)
    if None not in given.shape:
        outputs = np.asarray(model(noise(given.shape, given.dtype), training=False))  # type: ignore[arg-type]
        wanted = msgspec.structs.replace(wanted, shape=outputs.shape)
        check_classes(str(path), given, wanted)
        if values == "logits" and sums_to_one(outputs):
            values = "probabilities"
    takes_pixels = given.dtype != "float32" or split_beginning(model).normalizes
    mean, std = IDENTITY if takes_pixels else (None, None)
    return Facts(
        kind="keras",
        precision="int8" if any(fake_quantize_layers(model)) else "float32",
        input=given,
        output=wanted,
        values=values,
        metadata=Metadata(mean=mean, std=std, layout="NHWC"),
    )


def _tensors(tensors: list[Any]) -> list[TensorFacts]:
    return [
        TensorFacts(name=tensor.name, shape=tuple(tensor.shape), dtype=keras.backend.standardize_dtype(tensor.dtype))
        for tensor in tensors
    ]


def _values(model: keras.Model) -> Values:
    """By the last operation behind those that only move values."""
    last = model.outputs[0]._keras_history.operation
    while _moves(last):
        last = last.input._keras_history.operation
    if isinstance(last, keras.Model):
        return _values(last)
    return _VALUES.get(_activation(last) or type(last).__name__.lower(), "logits")


def _moves(operation: Any) -> bool:
    return type(operation).__name__ in _MOVES or (
        type(operation).__name__ == "Activation" and _activation(operation) == "linear"
    )


def _activation(operation: Any) -> str:
    return getattr(getattr(operation, "activation", None), "__name__", "")
