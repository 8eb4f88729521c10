"""Checks whether a model can be quantized, before any work is done. Internal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import layers

from linnet_train.errors import TrainingError
from linnet_train.quantization.graph import calls, functional

ACTIVATIONS = ("linear", "relu", "relu6", "hard_sigmoid", "hard_silu", "sigmoid", "softmax")
"""By Keras's names; hard_silu is also called hard_swish."""

LAYERS = (
    layers.Activation,
    layers.Add,
    layers.AveragePooling2D,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Conv2D,
    layers.Cropping2D,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.Dropout,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.MaxPooling2D,
    layers.Multiply,
    layers.ReLU,
    layers.Rescaling,
    layers.Reshape,
    layers.SeparableConv2D,
    layers.Softmax,
    layers.ZeroPadding2D,
)
_LEVELS = 256


def activation_name(layer: Any) -> str | None:
    """The name of a layer's activation: "linear" if it has none, None if it is not one of ``ACTIVATIONS``."""
    if isinstance(layer, layers.Softmax):
        return "softmax"
    function = getattr(layer, "activation", None) or keras.activations.linear
    return next((name for name in ACTIVATIONS if keras.activations.get(name) is function), None)


def zero_pixel(rescaling: Any) -> int:
    """The pixel value that a Rescaling maps to zero, rounded to a whole number."""
    return round(-float(rescaling.offset) / float(rescaling.scale))


def check(model: keras.Model) -> None:
    """Raises TrainingError for a model that ``quantize`` cannot take; the error names the layer and a fix."""
    graph = functional(model)
    if graph is None:
        raise TrainingError(
            "model",
            got=type(model).__name__,
            expected="a Functional Keras model",
            fix="build it of layers between keras.Input and keras.Model; a Sequential model needs an Input",
        )
    _check_graph(graph, reads_pixels=True)


def _check_graph(graph: Any, *, reads_pixels: bool) -> None:
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise TrainingError(
            f"model {graph.name}",
            got=f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs",
            expected="one of each",
        )
    pixels = id(graph.inputs[0]) if reads_pixels else None
    for node in calls(graph):
        layer, inputs = node.operation, node.input_tensors
        behind_pixels = id(inputs[0]) == pixels
        inner = functional(layer)
        if inner is not None:
            _check_graph(inner, reads_pixels=behind_pixels)
        elif type(layer) not in LAYERS:
            raise _unknown(layer)
        else:
            for got, expected, fix in _misfits(layer, inputs[0], behind_pixels):
                raise TrainingError(f"layer {layer.name}", got=got, expected=expected, fix=fix)


def _unknown(layer: Any) -> TrainingError:
    if not isinstance(layer, keras.Layer):
        return TrainingError(
            f"operation {layer.name}",
            got=f"{type(layer).__name__} on tensors",
            expected="only layers",
            fix="write it as a layer, such as keras.layers.Add or Multiply",
        )
    fix = "replace the layer"
    if isinstance(layer, keras.Model):
        fix = "build it of layers between keras.Input and keras.Model"
    elif type(layer).__name__.startswith("Random"):
        fix = "leave augmentation out of the model"
    return TrainingError(
        f"layer {layer.name}",
        got=type(layer).__name__,
        expected="one of " + ", ".join(sorted(kind.__name__ for kind in LAYERS)),
        fix=fix,
    )


def _misfits(layer: Any, tensor: Any, behind_pixels: bool) -> Iterator[tuple[str, str, str | None]]:
    """The reasons why a known layer that reads a tensor cannot be quantized, each as got, expected and fix."""
    kind, rank = type(layer).__name__, len(tensor.shape)
    if activation_name(layer) is None:
        name = getattr(layer.activation, "__name__", type(layer.activation).__name__)
        yield f"activation {name}", "one of " + ", ".join(ACTIVATIONS), "hard_swish is close to swish and gelu"
    if getattr(layer, "data_format", None) == "channels_first":
        yield "channels_first", "channels_last", None
    if getattr(layer, "axis", -1) not in (-1, rank - 1, [rank - 1]):
        yield f"{kind} along axis {layer.axis}", "along the channels, the last axis", None
    if isinstance(layer, layers.ReLU) and (layer.negative_slope or layer.threshold):
        yield "a ReLU with a slope or a threshold", "a plain one", "layers.ReLU(max_value)"
    if isinstance(layer, layers.Dense) and rank not in (2, 4):
        yield f"Dense on {rank - 1} axes", "on [N, C] or [N, H, W, C]", "a Flatten before it"
    if isinstance(layer, layers.BatchNormalization) and rank not in (2, 4):
        yield f"BatchNormalization on {rank - 1} axes", "on [N, C] or [N, H, W, C]", None
    if isinstance(layer, layers.Rescaling):
        if not behind_pixels:
            yield "Rescaling within the network", "Rescaling only of the model's input", "scale the weights instead"
        elif np.ndim(layer.scale) or np.ndim(layer.offset):
            yield "a scale for each color", "one scale and one offset", "scale the first kernel instead"
        elif layer.scale <= 0 or not 0 <= zero_pixel(layer) < _LEVELS:
            yield f"scale {layer.scale}, offset {layer.offset}", "a pixel of 0 to 255 that becomes zero", None
