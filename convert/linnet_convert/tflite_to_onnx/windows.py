"""Operators that move a window over a picture, or cover it as a whole: convolutions, dense layers, pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linnet_convert.errors import ConversionError
from linnet_convert.readers.tflite_graph import Operator, Tensor
from linnet_convert.tflite_to_onnx.translation import TO_NCHW, Translation, real_range

_OUTPUTS_FIRST = (3, 0, 1, 2)  # of a depthwise kernel [1, H, W, outputs]


def convolution(t: Translation, operator: Operator) -> None:
    """CONV_2D with one group or several, and DEPTHWISE_CONV_2D."""
    source, weights, *bias = operator.inputs
    channels, kernel = t.tensor(source).shape[3], t.tensor(weights).shape
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    dilation = (operator.options["dilationHFactor"], operator.options["dilationWFactor"])
    value = t.picture(source)
    real = t.onnx.node(
        "Conv",
        value.real,
        t.constant(weights, axes=_OUTPUTS_FIRST if depthwise else TO_NCHW),
        *_bias(t, bias),
        kernel_shape=kernel[1:3],
        strides=_strides(operator),
        dilations=dilation,
        pads=np.add(_padding(t, operator, kernel[1:3], dilation), value.padding).tolist(),
        group=channels if depthwise else channels // kernel[3],
    )
    t.store(operator.outputs[0], t.activated(operator, real))


def fully_connected(t: Translation, operator: Operator) -> None:
    """FULLY_CONNECTED: a convolution as large as the picture that was flattened before it, or 1x1."""
    source, weights, *bias = operator.inputs
    outputs, inputs = t.tensor(weights).shape
    value = t.values[source]
    if any(value.padding) or np.prod(value.nhwc[1:]) != inputs:
        value = t.value(source)
    height, width = value.nhwc[1:3] if np.prod(value.nhwc[1:]) == inputs else (1, 1)
    real = t.onnx.node(
        "Conv",
        value.real,
        t.constant(weights, (outputs, height, width, inputs // (height * width)), TO_NCHW),
        *_bias(t, bias),
        kernel_shape=[height, width],
    )
    t.store(operator.outputs[0], t.activated(operator, real))


def pooling(kind: str) -> Callable[[Translation, Operator], None]:
    """MAX_POOL_2D or AVERAGE_POOL_2D; an average excludes the padding."""

    def translate(t: Translation, operator: Operator) -> None:
        source = operator.inputs[0]
        window = (operator.options["filterHeight"], operator.options["filterWidth"])
        padding = _padding(t, operator, window, (1, 1))
        value = t.picture(source)
        if kind == "MaxPool" and _is_least(t.tensor(source)):
            padding = np.add(padding, value.padding).tolist()  # ONNX pads with minus infinity: no difference here
        elif any(value.padding):
            value = t.value(source)
        real = t.onnx.node(kind, value.real, kernel_shape=window, strides=_strides(operator), pads=padding)
        t.store(operator.outputs[0], t.activated(operator, real))

    return translate


def reduction(kind: str) -> Callable[[Translation, Operator], None]:
    """MEAN or REDUCE_MAX over height and width."""

    def translate(t: Translation, operator: Operator) -> None:
        source, over = operator.inputs
        axes = t.tensor(over).data
        if axes is None or sorted(axes.ravel().tolist()) != [1, 2]:
            raise ConversionError(f"operator {operator.name}", got=f"axes {axes}", expected="height and width")
        value = t.value(source)
        # A window as large as the picture: ONNX Runtime has GlobalMaxPool in float only.
        window: dict[str, Any] = {} if kind == "GlobalAveragePool" else {"kernel_shape": value.nhwc[1:3]}
        t.store(operator.outputs[0], t.onnx.node(kind, value.real, **window))

    return translate


def _bias(t: Translation, inputs: list[int]) -> list[str]:
    return [t.constant(index) for index in inputs if index >= 0]


def _strides(operator: Operator) -> tuple[int, int]:
    return operator.options["strideH"], operator.options["strideW"]


def _padding(t: Translation, operator: Operator, window: tuple[int, ...], dilation: tuple[int, int]) -> list[int]:
    """Top, left, bottom, right."""
    padding = [0, 0, 0, 0]
    if operator.options["padding"] == "SAME":
        sizes, outs = (t.tensor(i).shape[1:3] for i in (operator.inputs[0], operator.outputs[0]))
        for axis, stride in enumerate(_strides(operator)):
            reach = (window[axis] - 1) * dilation[axis] + 1
            missing = max((outs[axis] - 1) * stride + reach - sizes[axis], 0)
            padding[axis], padding[axis + 2] = missing // 2, missing - missing // 2
    return padding


def _is_least(tensor: Tensor) -> bool:
    """Whether zero is the smallest value that a tensor can hold, as behind a ReLU."""
    return tensor.quantization is not None and real_range(tensor)[0] == 0
