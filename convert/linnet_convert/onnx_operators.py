"""TensorFlow Lite's operators in ONNX, one function each, and the table of them.

The layout is NCHW throughout, [1, C, 1, 1] after pooling; a Dense layer is a 1x1 convolution there, or one as large as
the picture that was flattened before it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from linnet_convert.errors import ConversionError
from linnet_convert.onnx_translation import Translation, same_steps
from linnet_convert.tflite_graph import Operator

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def _alias(t: Translation, operator: Operator) -> None:
    t.values[operator.outputs[0]] = t.values[operator.inputs[0]]


def _quantize(t: Translation, operator: Operator) -> None:
    source, target = operator.inputs[0], operator.outputs[0]
    if same_steps(t.tensor(source), t.tensor(target)):
        _alias(t, operator)
    else:
        t.store(target, t.values[source].real)


def _convolution(t: Translation, operator: Operator) -> None:
    source, weights, bias = operator.inputs
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    _, height, width, _ = t.tensor(weights).shape  # [out, h, w, in], or [1, h, w, out] where it is depthwise
    stride = (operator.options["strideH"], operator.options["strideW"])
    dilation = (operator.options["dilationHFactor"], operator.options["dilationWFactor"])
    sides = zip(t.tensor(source).shape[1:3], t.tensor(operator.outputs[0]).shape[1:3], strict=True)
    padding = [0, 0, 0, 0]
    if operator.options["padding"] == "SAME":
        for axis, (size, out) in enumerate(sides):
            reach = ((height, width)[axis] - 1) * dilation[axis] + 1
            missing = max((out - 1) * stride[axis] + reach - size, 0)
            padding[axis], padding[axis + 2] = missing // 2, missing - missing // 2
    value = t.values[source]
    real = t.onnx.node(
        "Conv",
        value.real,
        t.constant(weights, (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)),
        *([t.constant(bias)] if bias >= 0 else []),
        kernel_shape=[height, width],
        strides=stride,
        dilations=dilation,
        pads=np.add(padding, value.padding).tolist(),
        group=t.tensor(source).shape[3] if depthwise else 1,
    )
    t.store(operator.outputs[0], t.activated(operator, real))


def _pad(t: Translation, operator: Operator) -> None:
    """Zeros around a picture: the convolutions behind it take them over."""
    source, target = operator.inputs[0], operator.outputs[0]
    amounts = t.tensor(operator.inputs[1]).data
    others = {reader.name for reader in t.graph.readers(target)} - set(_CONVOLUTIONS)
    if amounts is None or amounts.shape != (4, 2) or amounts[[0, 3]].any() or others:
        raise ConversionError("operator PAD", got="other than zeros around a picture for convolutions")
    t.values[target] = t.values[source].padded(*(int(amount) for amount in amounts[1:3].T.ravel()))


def _elementwise(kind: str) -> Callable[[Translation, Operator], None]:
    def translate(t: Translation, operator: Operator) -> None:
        operands = [t.constant(i) if t.tensor(i).data is not None else t.values[i].real for i in operator.inputs]
        for i in operator.inputs:
            # One value a channel stands last in NHWC and second here.
            if t.tensor(i).data is not None and t.tensor(i).data.size > 1:  # type: ignore[union-attr]
                raise ConversionError(
                    f"operator {operator.name}", got="a constant for each channel", expected="one value"
                )
        t.store(operator.outputs[0], t.activated(operator, t.onnx.node(kind, *operands)))

    return translate


def _mean(t: Translation, operator: Operator) -> None:
    axes = t.tensor(operator.inputs[1]).data
    if axes is None or sorted(axes.ravel().tolist()) != [1, 2]:
        raise ConversionError("operator MEAN", got=f"axes {axes}", expected="height and width")
    t.store(operator.outputs[0], t.onnx.node("GlobalAveragePool", t.values[operator.inputs[0]].real))


def _fully_connected(t: Translation, operator: Operator) -> None:
    source, weights, bias = operator.inputs
    real = t.onnx.node(
        "Conv",
        t.values[source].real,
        t.constant(weights, (0, 1, 2, 3)),
        *([t.constant(bias)] if bias >= 0 else []),
        kernel_shape=[1, 1],
    )
    t.store(operator.outputs[0], t.activated(operator, real))


OPERATORS: dict[str, Callable[[Translation, Operator], None]] = {
    "ADD": _elementwise("Add"),
    "CAST": _alias,  # of the pixels, which are taken in as float
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _mean,
    "MUL": _elementwise("Mul"),
    "PAD": _pad,
    "QUANTIZE": _quantize,
    "SUB": _elementwise("Sub"),
}
