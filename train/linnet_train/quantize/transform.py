"""A float model to the same model with fake quantisation: every weight, and every activation that an engine stores.

An engine stores the output of a convolution only after the batch normalisation and the ReLU behind it, which it
computes in the same pass. So a tensor is rounded where an operation reads it that cannot be computed in that pass.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
from keras import layers

from linnet_train.errors import TrainingError
from linnet_train.quantize.layers import (
    FakeQuantize,
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
    QuantizedReLU,
)

# Layers with weights, and what computes with rounded ones.
_QUANTIZED: dict[type, Any] = {
    layers.Conv2D: QuantizedConv2D,
    layers.DepthwiseConv2D: QuantizedDepthwiseConv2D,
    layers.Dense: QuantizedDense,
}
# Layers that an engine computes in the pass of the operation before them; the first two leave their output unrounded.
_FUSED = (layers.BatchNormalization, layers.Dropout, layers.ReLU)
# Layers whose output has a range of its own.
_NEW_RANGE = (*_QUANTIZED, *_FUSED[:2], layers.Add, layers.GlobalAveragePooling2D)
# Layers that only move or choose values, so that their output has their input's range.
_SAME_RANGE = (layers.ZeroPadding2D, layers.Flatten, layers.Reshape, layers.MaxPooling2D)

_MOST_STEPS = 255


def quantize(model: keras.Model) -> keras.Model:
    """The same network with fake quantisation and the same weights; calibrate it before use.

    Args:
        model: Functional, float, of the layers that this module names. Its first layer may be a Rescaling; the
            pixels behind it are then the quantised values themselves.

    Returns:
        A new Functional model: the same input, and logits that are rounded to 256 levels.

    Raises:
        TrainingError: a layer that this module does not know, named, before any work is done.
    """
    _check(model)
    graph = _Rewriter(_consumers(model))
    clone = keras.models.clone_model(model, clone_function=graph.clone, call_function=graph.call)
    quantized = keras.Model(clone.input, graph.rounded(clone.output), name=f"{model.name}_int8")
    for layer in model.layers:
        if layer.weights:
            quantized.get_layer(layer.name).set_weights(layer.get_weights())
    return quantized


def _check(model: keras.Model) -> None:
    known = (layers.InputLayer, layers.Rescaling, layers.ReLU, *_NEW_RANGE, *_SAME_RANGE)
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise TrainingError("model", got=type(model).__name__, expected="a Functional Keras model")
    for operation in model.operations:
        if type(operation) not in known:
            raise TrainingError(
                f"layer {operation.name}",
                got=type(operation).__name__,
                expected="one of " + ", ".join(sorted(layer.__name__ for layer in known)),
                fix="replace the layer, or train without quantisation",
            )


def _consumers(model: keras.Model) -> Counter[str]:
    """How many operations read each operation's output."""
    return Counter(
        tensor._keras_history.operation.name
        for operation in model.operations
        for node in operation._inbound_nodes
        for tensor in node.input_tensors
    )


class _Rewriter:
    """The two functions that ``keras.models.clone_model`` takes, and what they remember between calls."""

    def __init__(self, consumers: Counter[str]) -> None:
        self._consumers = consumers
        # Tensors that an engine has not stored yet, by id; kept with the tensor so that no id is used again.
        self._unrounded: dict[int, Any] = {}
        self._rounded: dict[int, Any] = {}

    def clone(self, layer: Any) -> Any:
        if isinstance(layer, layers.ReLU):
            return QuantizedReLU(layer.max_value, name=layer.name)
        return _QUANTIZED.get(type(layer), type(layer)).from_config(layer.get_config())

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        args = keras.tree.map_structure(lambda value: self._input_of(layer, value), args)
        output = layer(*args, **kwargs)
        if isinstance(layer, layers.Rescaling):
            return _input_range(layer)(output)
        if isinstance(layer, _NEW_RANGE):
            self._unrounded[id(output)] = output
        return output

    def _input_of(self, layer: Any, tensor: Any) -> Any:
        if not isinstance(tensor, keras.KerasTensor):
            return tensor
        only_reader = self._consumers[tensor._keras_history.operation.name] == 1
        fused = isinstance(layer, (*_FUSED[:2], QuantizedReLU))
        return tensor if fused and only_reader else self.rounded(tensor)

    def rounded(self, tensor: Any) -> Any:
        """The tensor as an engine stores it; the same one for every reader."""
        if id(tensor) not in self._unrounded:
            return tensor
        if id(tensor) not in self._rounded:
            name = f"{tensor._keras_history.operation.name}_range"
            self._rounded[id(tensor)] = FakeQuantize(name=name)(tensor)
        return self._rounded[id(tensor)]


def _input_range(rescaling: Any) -> FakeQuantize:
    """The range in which the pixel 0..255 is the quantised value, whatever the photos are.

    The zero point has to be a whole number of pixels: an offset of -1 at a scale of 1/127.5 becomes -128/127.5, half
    a grey level away.
    """
    scale = float(rescaling.scale)
    zero_point = round(-float(rescaling.offset) / scale)
    return FakeQuantize(-zero_point * scale, (_MOST_STEPS - zero_point) * scale, name="pixels_range")
