"""What every operator's translation to ONNX shares: values by tensor, constants, rounding, fused activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from linnet_convert.errors import ConversionError
from linnet_convert.onnx_graph import OnnxGraph
from linnet_convert.tflite_graph import Graph, Operator, Tensor

PIXELS, LOGITS = "pixels", "logits"
_TO_NCHW = [0, 3, 1, 2]
_UNSIGNED = 128  # int8 to uint8: the same steps, the zero point moved
_LIMITS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


@dataclass
class Value:
    """A tensor in the ONNX graph: its float value in NCHW, and its stored one where it is quantised.

    ``padding`` is what a PAD put around it and the next convolution takes over: top, left, bottom, right.
    """

    real: str
    stored: str | None = None
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def padded(self, *padding: int) -> Value:
        """The same value with a PAD around it."""
        top, left, bottom, right = padding
        return Value(self.real, self.stored, (top, left, bottom, right))


class Translation:
    """One .tflite on its way."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.onnx = OnnxGraph()
        self.values: dict[int, Value] = {}

    def tensor(self, index: int) -> Tensor:
        """The .tflite's tensor of that index."""
        return self.graph.tensors[index]

    def take_in(self, index: int) -> None:
        """Makes the model's input, pixels uint8 [1, H, W, 3], the value of a tensor."""
        pixels = self.tensor(index)
        moved = self.onnx.node("Transpose", PIXELS, perm=_TO_NCHW)
        if pixels.quantization is None:
            self.values[index] = Value(self.onnx.node("Cast", moved, to=onnx.TensorProto.FLOAT))
            return
        # Rounding the pixels to themselves once more tells OpenVINO their range: without the pair it leaves the first
        # convolution in float. ONNX Runtime removes it.
        real = self.onnx.node("DequantizeLinear", moved, *self._scale_and_zero(pixels))
        self.store(index, real)

    def finish(self, index: int) -> onnx.ModelProto:
        """The model whose output is that tensor, [1, classes], in its stored form where it has one."""
        logits = self.tensor(index)
        self.onnx.node("Flatten", self.values[index].stored or self.values[index].real, output=LOGITS)
        return self.onnx.model((PIXELS, self.tensor(self.graph.inputs[0]).shape), (LOGITS, logits.dtype, logits.shape))

    def store(self, index: int, real: str) -> None:
        """Sets a tensor's value, rounded to its quantisation where it has one."""
        if self.tensor(index).quantization is None:
            self.values[index] = Value(real)
            return
        parameters = self._scale_and_zero(self.tensor(index))
        stored = self.onnx.node("QuantizeLinear", real, *parameters)
        self.values[index] = Value(self.onnx.node("DequantizeLinear", stored, *parameters), stored)

    def _scale_and_zero(self, tensor: Tensor) -> tuple[str, str]:
        scale, zero_point = _per_tensor(tensor)
        unsigned = zero_point + (_UNSIGNED if tensor.dtype == np.int8 else 0)
        return self.onnx.constant(np.float32(scale)), self.onnx.constant(np.uint8(unsigned))

    def constant(self, index: int, axes: tuple[int, ...] = ()) -> str:
        """A constant's float value with its axes in another order; a quantised one stays in integers behind a
        DequantizeLinear. An axis beyond its own is a new one of length 1.
        """
        tensor = self.tensor(index)
        if tensor.data is None:
            raise ConversionError(f"tensor {tensor.name}", got="computed weights", expected="constant ones")
        axes = axes or tuple(range(tensor.data.ndim))
        data = tensor.data.reshape(tensor.shape + (1,) * (len(axes) - tensor.data.ndim)).transpose(axes)
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
        """A fused activation, unless the output's quantisation ends where the activation does and so does its work."""
        activation = operator.options.get("fusedActivationFunction", "NONE")
        if activation not in _LIMITS:
            raise ConversionError(f"{operator.name} with {activation}", expected="one of " + ", ".join(_LIMITS))
        low, high = _LIMITS[activation]
        tensor = self.tensor(operator.outputs[0])
        if tensor.quantization is not None:
            scale, zero_point = _per_tensor(tensor)
            limits = np.iinfo(tensor.dtype)
            smallest, largest = (limits.min - zero_point) * scale, (limits.max - zero_point) * scale
            slack = scale / 2  # what rounds into the last step is within the limit
            low = None if low is None or smallest >= low - slack else low
            high = None if high is None or largest <= high + slack else high
        if low is None and high is None:
            return real
        if high is None and low == 0:
            return self.onnx.node("Relu", real)
        bounds = ["" if bound is None else self.onnx.constant(np.float32(bound)) for bound in (low, high)]
        return self.onnx.node("Clip", real, *bounds)


def same_steps(first: Tensor, second: Tensor) -> bool:
    """Whether two quantised tensors mean the same real values by their steps: int8 and uint8 of one range do."""
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
