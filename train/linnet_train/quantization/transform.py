"""Inserts fake quantization into a float model: for every weight, and every activation that an engine stores. Internal.

An engine computes a convolution with the batch normalization and the ReLU behind it in one pass, and stores only the
result. So a tensor is rounded only where it is read by an operation that is not in the same pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from linnet_train.errors import TrainingError
from linnet_train.quantization.check import activation_name, check, zero_pixel
from linnet_train.quantization.flatten import flatten, is_affine
from linnet_train.quantization.graph import Names, readers, walk
from linnet_train.quantization.layers import (
    FakeQuantize,
    PassThrough,
    QuantizedConcatenate,
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
    QuantizedHardSigmoid,
    QuantizedHardSwish,
    QuantizedReLU,
)

# Layers with weights, and the layers that compute the same with rounded weights.
_QUANTIZED: dict[type, Any] = {
    layers.Conv2D: QuantizedConv2D,
    layers.DepthwiseConv2D: QuantizedDepthwiseConv2D,
    layers.Dense: QuantizedDense,
}
# Layers whose output has a new range. The other layers only move or choose values.
_NEW_RANGE = (*_QUANTIZED, layers.Add, layers.Multiply, layers.GlobalAveragePooling2D)

_MOST_STEPS = 255
_UP_TO_ONE = (0.0, 255 / 256)  # TensorFlow Lite fixes the steps of a sigmoid and of a softmax at 1/256


def quantize(model: keras.Model) -> keras.Model:
    """The same network with fake quantization and the same weights. Calibrate it before use.

    Args:
        model: a float model, Functional or Sequential, of the layers on the page "Quantize your own Keras model".
            Nested models are flattened. The first layer may be a Rescaling; then each pixel value is a quantized value.

    Returns:
        A new Functional model with the same input, and an output that is rounded to 256 levels.

    Raises:
        TrainingError: a layer cannot be quantized. The error names it, before any work is done.
    """
    check(model)
    inputs, outputs = _Rewriter(flatten(model)).run()
    return keras.Model(inputs, outputs, name=f"{model.name}_int8")


@dataclass
class _Value:
    """A tensor of the quantized model."""

    tensor: Any
    """The Keras tensor."""
    name: str
    """The name of the layer that computed it."""
    range: FakeQuantize | None = None
    """The layer that rounded it; None if an engine has not stored it yet."""
    convolution: bool = False
    """Whether it comes from a convolution whose pass can still scale and shift the channels."""
    reader: Any = None
    """The only layer that reads it; None if there are several, or it is the model's output."""
    stored: _Value | None = None
    """The rounded tensor, once a layer has needed it."""
    passes: int = 0
    """The number of ``PassThrough`` layers that read it."""

    @property
    def passes_on(self) -> bool:
        """Whether an engine can compute the layer that reads it in the same pass."""
        return self.range is None and self.reader is not None


class _Rewriter:
    """Builds the quantized model, layer by layer."""

    def __init__(self, flat: keras.Model) -> None:
        self._flat = flat
        self._readers = readers(flat)
        self._names = Names(layer.name for layer in flat.layers)
        self._copies: dict[int, Any] = {}  # of layers with weights, by id

    def run(self) -> tuple[Any, Any]:
        """The quantized model's input and output."""
        (tensor,) = self._flat.inputs
        pixels = keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name)
        value = _Value(pixels, "pixels")
        kinds = [node and type(node.operation) for node in self._readers[id(tensor)]]
        if layers.Rescaling in kinds and len(kinds) > 1:
            raise TrainingError("model", got="a Rescaling and other layers on the pixels", expected="one Rescaling")
        if layers.Rescaling not in kinds and not keras.backend.is_float_dtype(tensor.dtype):
            value = self._normalized(layers.Rescaling(1.0, name="normalise"), value)
        return pixels, self._store(walk(self._flat, value, self._call)).tensor

    def _call(self, node: Any, x: Any, **kwargs: Any) -> _Value:
        alone = [reader.operation for reader in self._readers[id(node.outputs[0])] if reader is not None]
        reader = alone[0] if len(self._readers[id(node.outputs[0])]) == len(alone) == 1 else None
        value = self._layer(node.operation, x, reader, kwargs)
        value.reader = reader
        return value

    def _layer(self, layer: Any, x: Any, reader: Any, kwargs: dict[str, Any]) -> _Value:
        if isinstance(layer, layers.Rescaling):
            return self._normalized(layer, x)
        if isinstance(layer, layers.Concatenate):
            return self._concatenate(layer, x)
        if is_affine(layer):
            return self._affine(layer, x, kwargs)
        if isinstance(layer, layers.ReLU):
            return self._relu(layer, x, reader)
        if activation_name(layer) == "hard_silu":
            return self._hard_swish(layer, x)
        if isinstance(layer, layers.Reshape | layers.Flatten) and x.passes_on and x.tensor.shape[1:-1] == (1, 1):
            return _Value(self._compute(layer, x.tensor), x.name)
        x = keras.tree.map_structure(self._store, x)
        y = self._compute(layer, keras.tree.map_structure(lambda value: value.tensor, x), **kwargs)
        if isinstance(layer, layers.Activation):
            return self._rounded(y, FakeQuantize(*_UP_TO_ONE, name=self._names.unique(f"{layer.name}_range")))
        if isinstance(layer, _NEW_RANGE):
            return _Value(y, layer.name, convolution=isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D))
        if isinstance(layer, layers.AveragePooling2D):
            y = x.range(y, follow=False)  # engines round averages into the range of the input
        return _Value(y, layer.name, x.range)

    def _compute(self, layer: Any, tensor: Any, **kwargs: Any) -> Any:
        """The output of a copy of the layer. A layer with weights has one copy, however often it is called."""
        copy = self._copies.get(id(layer))
        if copy is None:
            copy = _QUANTIZED.get(type(layer), type(layer)).from_config(layer.get_config())
        output = copy(tensor, **kwargs)
        if layer.weights:
            self._copies[id(layer)] = copy
            copy.set_weights(layer.get_weights())
        return output

    def _store(self, value: _Value, begins_at: float | None = None) -> _Value:
        """The value as an engine stores it: rounded, once for all layers that read it."""
        if value.range is not None:
            return value
        if value.stored is None:
            rounding = FakeQuantize(begins_at, name=self._names.unique(f"{value.name}_range"))
            value.stored = self._rounded(value.tensor, rounding)
        return value.stored

    def _rounded(self, inputs: Any, rounding: FakeQuantize) -> _Value:
        return _Value(rounding(inputs), rounding.name, rounding)

    def _normalized(self, rescaling: Any, pixels: _Value) -> _Value:
        """The normalized pixels, in the fixed range that makes each pixel 0..255 a quantized value.

        The zero point must be a whole pixel value. An offset of -1 at a scale of 1/127.5 becomes -128/127.5, which is
        half a gray level away.
        """
        scale, zero_point = float(rescaling.scale), zero_pixel(rescaling)
        low, high = -zero_point * scale, (_MOST_STEPS - zero_point) * scale
        normalized = layers.Rescaling(scale, low, name=rescaling.name)(pixels.tensor)
        return self._rounded(normalized, FakeQuantize(low, high, name="pixels_range"))

    def _relu(self, relu: Any, x: _Value, reader: Any) -> _Value:
        if x.passes_on and isinstance(reader, layers.Concatenate) and relu.max_value in (None, 6.0):
            return _Value(self._compute(relu, x.tensor), relu.name)
        # The converter removes the second of two consecutive roundings, and with it the ReLU.
        tensor = x.tensor if x.passes_on else self._reshaped(self._pass_through(self._store(x)), x)
        return self._rounded(tensor, QuantizedReLU(relu.max_value, name=relu.name))

    def _hard_swish(self, layer: Any, x: _Value) -> _Value:
        tensor = self._store(x, begins_at=QuantizedHardSwish.ZERO_BELOW if x.passes_on else None).tensor
        return self._rounded(tensor, QuantizedHardSwish(name=layer.name))

    def _affine(self, layer: Any, x: _Value, kwargs: dict[str, Any]) -> _Value:
        """A batch normalization or hard sigmoid, in the pass of the convolution before it or of a ``PassThrough``."""
        picture = x.tensor if x.passes_on and x.convolution else self._pass_through(self._store(x))
        if isinstance(layer, layers.BatchNormalization):
            value = _Value(self._compute(layer, picture, **kwargs), layer.name, convolution=True)
        else:
            value = self._rounded(picture, QuantizedHardSigmoid(name=layer.name))
        if len(x.tensor.shape) != 4:
            value.tensor, value.convolution = self._reshaped(value.tensor, x), False
        return value

    def _concatenate(self, layer: Any, values: list[_Value]) -> _Value:
        inputs = [
            value.tensor if value.passes_on else self._reshaped(self._pass_through(self._store(value)), value)
            for value in values
        ]
        return self._rounded(inputs, QuantizedConcatenate(name=layer.name))

    def _pass_through(self, value: _Value) -> Any:
        """The value behind a ``PassThrough``: [N, H, W, C], or [N, 1, P, C] if it has another number of axes."""
        tensor = value.tensor
        if len(tensor.shape) != 4:
            tensor = layers.Reshape((1, -1, tensor.shape[-1]), name=self._names.unique(f"{value.name}_picture"))(tensor)
        value.passes += 1
        return PassThrough(value.passes - 1, name=self._names.unique(f"{value.name}_pass"))(tensor)

    def _reshaped(self, tensor: Any, like: _Value) -> Any:
        """The output of ``_pass_through`` in the shape that the value had before."""
        if len(like.tensor.shape) == 4:
            return tensor
        return layers.Reshape(like.tensor.shape[1:], name=self._names.unique(f"{like.name}_reshape"))(tensor)
