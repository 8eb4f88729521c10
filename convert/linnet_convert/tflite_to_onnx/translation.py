"""What the translations of all operators to ONNX share: values by tensor, constants, rounding, fused activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from linnet_convert.errors import ConversionError
from linnet_convert.readers.tflite_graph import Graph, Operator, Tensor
from linnet_convert.tflite_to_onnx.onnx_graph import OnnxGraph

PIXELS, LOGITS, FEATURES = "pixels", "logits", "features"
TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
Shape = tuple[int, ...]
Limits = tuple[float | None, float | None]
_UNSIGNED = 128  # int8 to uint8: the same steps, the zero point moved
# ONNX Runtime 1.31 makes a Pad of zeros and the MaxPool behind it one MaxPool, which pads with minus infinity.
_NEARLY_ZERO = np.float32(1e-30)
LIMITS: dict[str, Limits] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


@dataclass(frozen=True)
class Value:
    """A tensor in the ONNX graph: its float value, and its stored one where it is quantized."""

    real: str
    """The name of the float value, [N, C, H, W]."""
    nhwc: Shape
    """Its shape in NHWC. The .tflite's tensor may have another shape with the same numbers in the same order, as behind
    a RESHAPE.
    """
    stored: str | None = None
    """The name of the integers; None in float."""
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Padding by a PAD that the next convolution applies: top, left, bottom, right."""


class Translation:
    """The state of one .tflite's translation."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.onnx = OnnxGraph()
        self.values: dict[int, Value] = {}

    def tensor(self, index: int) -> Tensor:
        """The .tflite's tensor with that index."""
        return self.graph.tensors[index]

    def take_in(self, index: int) -> None:
        """Makes the model's input the value of a tensor: [1, H, W, 3], pixels in uint8, or float32."""
        pixels = self.tensor(index)
        moved = self.onnx.node("Transpose", PIXELS, perm=TO_NCHW)
        if pixels.quantization is None:
            if pixels.dtype != np.float32:
                moved = self.onnx.node("Cast", moved, to=onnx.TensorProto.FLOAT)
            self.values[index] = Value(moved, pixels.shape)
            return
        # This pair rounds the pixels to themselves, which gives OpenVINO their range: without it the first convolution
        # stays in float. ONNX Runtime removes the pair.
        real = self.onnx.node("DequantizeLinear", moved, *self._scale_and_zero(pixels))
        self.store(index, real)

    def finish(self, index: int) -> onnx.ModelProto:
        """The finished model, whose output is that tensor, float32 [1, classes]."""
        pixels, logits = self.tensor(self.graph.inputs[0]), self.tensor(index)
        value = self.value(index)
        if value.stored is None:
            self.onnx.node("Flatten", value.real, output=LOGITS)
        else:
            # Between two pairs, so that a provider which takes quantized operations takes this one too.
            parameters = self._scale_and_zero(logits)
            row = self.onnx.node("QuantizeLinear", self.onnx.node("Flatten", value.real), *parameters)
            self.onnx.node("DequantizeLinear", row, *parameters, output=LOGITS)
        return self.onnx.model((PIXELS, pixels.dtype, pixels.shape), (LOGITS, np.dtype(np.float32), logits.shape))

    def finish_map(self, index: int) -> onnx.ModelProto:
        """The finished model, whose output is that quantized tensor, float32 [1, h, w, channels]."""
        pixels, features = self.tensor(self.graph.inputs[0]), self.tensor(index)
        value = self.value(index)
        if value.stored is None:
            raise ConversionError(
                f"tensor {features.name}", got="no quantized tensor", expected="a feature map in int8"
            )
        rows = self.onnx.node("Transpose", value.stored, perm=TO_NHWC)
        self.onnx.node("DequantizeLinear", rows, *self._scale_and_zero(features), output=FEATURES)
        return self.onnx.model((PIXELS, pixels.dtype, pixels.shape), (FEATURES, np.dtype(np.float32), features.shape))

    def store(self, index: int, real: str) -> None:
        """Sets a tensor's value, [N, C, H, W], rounded where the tensor is quantized."""
        self.values[index] = self._rounded(index, real)

    def picture(self, index: int) -> Value:
        """A tensor's value in the tensor's own shape; its padding may not be applied yet."""
        value, nhwc = self.values[index], as_nhwc(self.tensor(index).shape)
        if any(value.padding) or value.nhwc == nhwc:
            return value
        rows = self.onnx.node("Transpose", value.real, perm=TO_NHWC)
        rows = self.onnx.node("Reshape", rows, self.onnx.constant(np.array(nhwc)))
        return self._rounded(index, self.onnx.node("Transpose", rows, perm=TO_NCHW))

    def value(self, index: int) -> Value:
        """A tensor's value in the tensor's own shape, with its padding applied."""
        value = self.picture(index)
        if not any(value.padding):
            return value
        top, left, bottom, right = value.padding
        pads = self.onnx.constant(np.array([0, 0, top, left, 0, 0, bottom, right]))
        return self._rounded(index, self.onnx.node("Pad", value.real, pads, self.onnx.constant(_NEARLY_ZERO)))

    def real(self, index: int) -> str:
        """The float value of a tensor, computed or constant, in a shape that broadcasts with others."""
        tensor = self.tensor(index)
        if tensor.data is None:
            return self.value(index).real
        data = tensor.data.reshape(as_nhwc(tensor.shape)).transpose(TO_NCHW)
        if tensor.quantization is None:
            return self.onnx.constant(data)
        # Unsigned like the activations: ONNX Runtime adds and multiplies tensors of one type in integers.
        steps = (data.astype(np.int16) + _UNSIGNED).astype(np.uint8) if tensor.dtype == np.int8 else data
        return self.onnx.node("DequantizeLinear", self.onnx.constant(steps), *self._scale_and_zero(tensor))

    def _rounded(self, index: int, real: str) -> Value:
        tensor = self.tensor(index)
        nhwc = as_nhwc(tensor.shape)
        if tensor.quantization is None:
            return Value(real, nhwc)
        parameters = self._scale_and_zero(tensor)
        stored = self.onnx.node("QuantizeLinear", real, *parameters)
        return Value(self.onnx.node("DequantizeLinear", stored, *parameters), nhwc, stored)

    def _scale_and_zero(self, tensor: Tensor) -> tuple[str, str]:
        scale, zero_point = _per_tensor(tensor)
        unsigned = zero_point + (_UNSIGNED if tensor.dtype == np.int8 else 0)
        return self.onnx.constant(np.float32(scale)), self.onnx.constant(np.uint8(unsigned))

    def constant(self, index: int, shape: Shape | None = None, axes: tuple[int, ...] | None = None) -> str:
        """A constant's float value, reshaped and transposed; a quantized one is integers and a DequantizeLinear."""
        tensor = self.tensor(index)
        if tensor.data is None:
            raise ConversionError(f"tensor {tensor.name}", got="computed weights", expected="constant ones")
        shape = tensor.shape if shape is None else shape
        axes = tuple(range(len(shape))) if axes is None else axes
        data = tensor.data.reshape(shape).transpose(axes)
        quantization = tensor.quantization
        if quantization is None:
            return self.onnx.constant(data)
        zero_point = quantization.zero_point.astype(tensor.dtype)
        if not quantization.per_channel:
            parameters = self.onnx.constant(quantization.scale[0]), self.onnx.constant(zero_point[0])
            return self.onnx.node("DequantizeLinear", self.onnx.constant(data), *parameters)
        axis = axes.index(quantization.axis)
        parameters = self.onnx.constant(quantization.scale), self.onnx.constant(zero_point)
        return self.onnx.node("DequantizeLinear", self.onnx.constant(data), *parameters, axis=axis)

    def activated(self, operator: Operator, real: str) -> str:
        """A value behind the operator's fused activation."""
        activation = operator.options.get("fusedActivationFunction", "NONE")
        if activation not in LIMITS:
            raise ConversionError(f"{operator.name} with {activation}", expected="one of " + ", ".join(LIMITS))
        return self.clipped(operator, real, LIMITS[activation])

    def clipped(self, operator: Operator, real: str, limits: Limits) -> str:
        """A value within limits, unless the range of the quantized output already clips it there."""
        low, high = limits
        tensor = self.tensor(operator.outputs[0])
        if tensor.quantization is not None:
            smallest, largest = real_range(tensor)
            slack = _per_tensor(tensor)[0] / 2  # a value that rounds into the last step is within the limit
            low = None if low is None or smallest >= low - slack else low
            high = None if high is None or largest <= high + slack else high
        if low is None and high is None:
            return real
        if tensor.quantization is not None:
            # Rounding before as well changes no value; without it ONNX Runtime computes convolution and ReLU in float.
            real = self._rounded(operator.outputs[0], real).real
        if high is None and low == 0:
            return self.onnx.node("Relu", real)
        bounds = ["" if bound is None else self.onnx.constant(np.float32(bound)) for bound in (low, high)]
        return self.onnx.node("Clip", real, *bounds)


def as_nhwc(shape: Shape) -> Shape:
    """A shape of up to four axes as that of a picture, as in broadcasting: [1, C] is [1, 1, 1, C]."""
    if len(shape) > 4:
        raise ConversionError("a tensor", got=f"shape {list(shape)}", expected="four axes at most")
    return (*[1] * (4 - len(shape)), *shape)


def real_range(tensor: Tensor) -> tuple[float, float]:
    """The smallest and the largest value that a quantized tensor can hold."""
    scale, zero_point = _per_tensor(tensor)
    limits = np.iinfo(tensor.dtype)
    return (limits.min - zero_point) * scale, (limits.max - zero_point) * scale


def same_steps(first: Tensor, second: Tensor) -> bool:
    """Whether two quantized tensors have the same steps: int8 and uint8 of one range do."""
    if first.quantization is None or second.quantization is None:
        return False
    (scale, zero_point), (other_scale, other_zero_point) = _per_tensor(first), _per_tensor(second)
    shift = _UNSIGNED * (int(first.dtype == np.int8) - int(second.dtype == np.int8))
    return scale == other_scale and zero_point + shift == other_zero_point


def _per_tensor(tensor: Tensor) -> tuple[float, int]:
    quantization = tensor.quantization
    if quantization is None or quantization.per_channel:
        raise ConversionError(f"tensor {tensor.name}", got="no single scale", expected="an activation with one scale")
    return float(quantization.scale[0]), int(quantization.zero_point[0])
