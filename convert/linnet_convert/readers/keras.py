"""A .keras: float, or quantised by Linnet. ``keras_config.check_layers`` has looked at it before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from linnet_convert.facts import IDENTITY, Facts, Metadata, TensorFacts, check_task
from linnet_train.quantization import fake_quantize_layers


def read(path: Path) -> Facts:
    """Reads it, and runs it once. Raises as ``read_tflite.read``."""
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    given, wanted = check_task(str(path), _tensors(model.inputs), _tensors(model.outputs))
    if None not in given.shape[1:]:
        model(np.zeros([side or 1 for side in given.shape], given.dtype), training=False)
    takes_pixels = given.dtype != "float32" or isinstance(first_layer(model), keras.layers.Rescaling)
    mean, std = IDENTITY if takes_pixels else (None, None)
    return Facts(
        kind="keras",
        precision="int8" if any(fake_quantize_layers(model)) else "float32",
        input=given,
        output=wanted,
        softmax=_ends_in_softmax(model),
        metadata=Metadata(mean=mean, std=std, layout="NHWC"),
    )


def first_layer(network: keras.Model) -> keras.Layer | None:
    """What a network does with its input first; a network within it is looked into."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            return first_layer(layer)
        if not isinstance(layer, keras.layers.InputLayer):
            return layer
    return None


def _tensors(tensors: list[Any]) -> list[TensorFacts]:
    return [
        TensorFacts(name=tensor.name, shape=tuple(tensor.shape), dtype=keras.backend.standardize_dtype(tensor.dtype))
        for tensor in tensors
    ]


def _ends_in_softmax(model: keras.Model) -> bool:
    last = model.outputs[0]._keras_history.operation
    if isinstance(last, keras.Model):
        return _ends_in_softmax(last)
    name = getattr(getattr(last, "activation", None), "__name__", "")
    return name in ("softmax", "sigmoid") or isinstance(last, keras.layers.Softmax)
