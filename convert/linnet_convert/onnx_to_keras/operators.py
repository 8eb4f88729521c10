"""The table of ONNX's operators and their Keras layers, and the operators that are not windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from keras import activations, layers
from numpy.typing import NDArray

from linnet_convert.onnx_to_keras.graph import Node, Value, affine, with_weights
from linnet_convert.onnx_to_keras.windows import convolution, pad, pooling

_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_HEIGHT_WIDTH = [2, 3]
_ROW = 2


def _dense(node: Node) -> Value:
    """Gemm, or MatMul with a constant."""
    x, kernel = node.value(), node.weights(1)
    bias = node.constant(2) if node.operator == "Gemm" else None
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    if any(node.attributes.get(name, value) != value for name, value in plain.items()) or x.picture:
        raise node.refuse("factors, or a transposed input", "a plain product")
    if node.attributes.get("transB"):
        kernel = kernel.T
    if len(x.tensor.shape) != _ROW or kernel.ndim != _ROW:
        raise node.refuse(f"an input of shape {list(x.tensor.shape)}", "a row")
    if x.flat is not None:
        order = np.arange(kernel.shape[0]).reshape(x.flat).transpose(1, 2, 0).ravel()
        kernel = kernel[order]
    weights = [kernel]
    if bias is not None:
        weights.append(np.broadcast_to(np.ravel(bias), kernel.shape[1:]))
    layer = layers.Dense(kernel.shape[1], use_bias=bias is not None, name=node.name)
    return Value(with_weights(layer, x.tensor, weights), picture=False)


def _batch_normalization(node: Node) -> Value:
    x = node.value()
    gamma, beta, mean, variance = (node.weights(place) for place in range(1, 5))
    layer = layers.BatchNormalization(epsilon=node.attributes.get("epsilon", 1e-5), name=node.name)
    return replace(x, tensor=with_weights(layer, x.tensor, [gamma, beta, mean, variance]))


def _clip(node: Node) -> Value:
    limits = [node.attributes.get("min"), node.attributes.get("max")]
    if limits == [None, None] and "min" not in node.attributes:
        given = [node.constant(place) for place in (1, 2)]
        limits = [None if limit is None else float(np.ravel(limit)[0]) for limit in given]
    low, high = limits
    if low != 0:
        raise node.refuse(f"limits {limits}", "a lowest value of 0")
    return _layer(layers.ReLU(high, name=node.name))(node)


def _layer(layer: Any) -> Callable[[Node], Value]:
    """An operator that maps each value on its own."""

    def translate(node: Node) -> Value:
        x = node.value()
        return replace(x, tensor=layer(x.tensor))

    return translate


def _activation(name: str) -> Callable[[Node], Value]:
    return lambda node: _layer(layers.Activation(name, name=node.name))(node)


def _hard_sigmoid(node: Node) -> Value:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    if abs(alpha - 1 / 6) > 1e-6 or beta != 0.5:
        raise node.refuse(f"alpha {alpha:g}, beta {beta:g}", "1/6 and 0.5")
    return _activation("hard_sigmoid")(node)


def _softmax(node: Node) -> Value:
    x = node.value()
    rank = len(x.tensor.shape)
    axis = node.attributes.get("axis", -1) % rank
    if x.flat is not None or axis != (1 if x.picture else rank - 1):
        raise node.refuse(f"axis {axis} of {rank}", "the channels")
    return replace(x, tensor=layers.Softmax(name=node.name)(x.tensor))


def _arithmetic(kind: Any, scales: bool, inverse: bool) -> Callable[[Node], Value]:
    """Add, Sub, Mul or Div of two values, or of one value and a constant for each channel.

    Args:
        kind: the layer for two values; None where there is none.
        scales: whether a constant is a factor; otherwise it is a term.
        inverse: whether the second operand is subtracted, or divided by.
    """

    def translate(node: Node) -> Value:
        places = [place for place in (0, 1) if node.is_constant(place)]
        if not places:
            if kind is None:
                raise node.refuse("two computed inputs", "a constant")
            x, y = node.values()
            if (x.picture, x.flat) != (y.picture, y.flat):
                raise node.refuse("a picture and a row", "two of the same kind")
            for value, gate in ((x, y), (y, x)):
                if kind is layers.Multiply and _is_hard_swish(value, gate):
                    return replace(value, tensor=layers.Activation("hard_silu", name=node.name)(value.tensor))
            bigger = x if np.prod(x.tensor.shape[1:]) >= np.prod(y.tensor.shape[1:]) else y
            return replace(bigger, tensor=kind(name=node.name)([x.tensor, y.tensor]))
        x, constant = node.value(1 - places[0]), node.weights(places[0])
        if inverse and places == [0]:
            raise node.refuse("a constant as the first operand", "as the second")
        if x.flat is not None or not _by_channel(constant, x):
            raise node.refuse(f"a constant of shape {list(constant.shape)}", "a number, or one for each channel")
        if scales:
            factor, term = (1 / constant if inverse else constant), np.zeros(1)
        else:
            factor, term = np.ones(1), (-constant if inverse else constant)
        return replace(x, tensor=affine(x.tensor, factor, term, node.name))

    return translate


def _is_hard_swish(value: Value, gate: Value) -> bool:
    """Whether the second is the hard sigmoid of the first: ONNX Runtime expands a HardSwish so."""
    layer = gate.tensor._keras_history.operation
    is_hard_sigmoid = isinstance(layer, layers.Activation) and layer.activation is activations.hard_sigmoid
    return is_hard_sigmoid and layer.input is value.tensor


def _by_channel(constant: NDArray[Any], x: Value) -> bool:
    if constant.size == 1:
        return True
    axis = constant.ndim - 3 if x.picture else constant.ndim - 1  # of NCHW, or of what broadcasts to it
    return axis >= 0 and constant.shape[axis] == constant.size == x.tensor.shape[-1]


def _whole(kind: Any) -> Callable[[Node], Value]:
    """A mean or maximum over height and width."""

    def translate(node: Node) -> Value:
        x = node.picture()
        if node.operator.startswith("Reduce"):
            axes = sorted(axis % 4 for axis in node.integers("axes", 1))
            if axes != _HEIGHT_WIDTH:
                raise node.refuse(f"axes {axes}", "height and width")
        keep = bool(node.attributes.get("keepdims", 1))
        return Value(kind(keepdims=keep, name=node.name)(x.tensor), picture=keep)

    return translate


def _flatten(node: Node) -> Value:
    """Flatten, Reshape to a row, and Squeeze of a 1x1 picture."""
    x = node.value()
    if not x.picture:
        if len(x.tensor.shape) != _ROW:
            raise node.refuse(f"an input of shape {list(x.tensor.shape)}", "a picture or a row")
        return x
    height, width, channels = x.tensor.shape[1:]
    if node.operator == "Flatten" and node.attributes.get("axis", 1) != 1:
        raise node.refuse(f"axis {node.attributes['axis']}", "1")
    if node.operator == "Reshape":
        shape = node.integers("shape", 1)
        if len(shape) == 4 and shape[1:] == [channels, height, width]:
            return x
        if len(shape) != _ROW or shape[1] not in (-1, channels * height * width):
            raise node.refuse(f"shape {shape}", "a row")
    if node.operator == "Squeeze" and (height, width) != (1, 1):
        raise node.refuse("a picture", "one of 1x1")
    flat = None if (height, width) == (1, 1) else (channels, height, width)
    return Value(layers.Flatten(name=node.name)(x.tensor), picture=False, flat=flat)


def _transpose(node: Node) -> Value:
    x, order = node.value(), list(node.attributes.get("perm", []))
    if order == _TO_NCHW and not x.picture and len(x.tensor.shape) == len(order):
        return replace(x, picture=True)
    if order == _TO_NHWC and x.picture:
        return replace(x, picture=False)
    raise node.refuse(f"the order {order}", "NHWC to NCHW, or back")


def _concatenate(node: Node) -> Value:
    values = node.values()
    alike = {(value.picture, value.flat) for value in values}
    if len(alike) != 1 or values[0].flat is not None or node.attributes["axis"] != 1:
        raise node.refuse(f"axis {node.attributes['axis']}", "the channels of values that are alike")
    return replace(values[0], tensor=layers.Concatenate(name=node.name)([value.tensor for value in values]))


OPERATORS: dict[str, Callable[[Node], Value]] = {
    "Add": _arithmetic(layers.Add, scales=False, inverse=False),
    "AveragePool": pooling(layers.AveragePooling2D),
    "BatchNormalization": _batch_normalization,
    "Cast": lambda node: node.value(),  # of pixels, which are float in Keras from the beginning
    "Clip": _clip,
    "Concat": _concatenate,
    "Conv": convolution,
    "Div": _arithmetic(None, scales=True, inverse=True),
    "Dropout": lambda node: node.value(),
    "Flatten": _flatten,
    "Gemm": _dense,
    "GlobalAveragePool": _whole(layers.GlobalAveragePooling2D),
    "GlobalMaxPool": _whole(layers.GlobalMaxPooling2D),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard_silu"),
    "Identity": lambda node: node.value(),
    "MatMul": _dense,
    "MaxPool": pooling(layers.MaxPooling2D),
    "Mul": _arithmetic(layers.Multiply, scales=True, inverse=False),
    "Pad": pad,
    "ReduceMean": _whole(layers.GlobalAveragePooling2D),
    "Relu": lambda node: _layer(layers.ReLU(name=node.name))(node),
    "Reshape": _flatten,
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax,
    "Squeeze": _flatten,
    "Sub": _arithmetic(None, scales=False, inverse=True),
    "Transpose": _transpose,
}
