"""ONNX's operators as Keras layers: the table of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from keras import activations, layers
from numpy.typing import NDArray

from linnet_convert.sources.keras_graph import Node, Value, affine, with_weights

_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_HEIGHT_WIDTH = [2, 3]
_ROW = 2


def _convolution(node: Node) -> Value:
    x, kernel, bias = node.picture(), node.weights(1), node.constant(2)
    outputs, _, *window = kernel.shape
    groups = node.attributes.get("group", 1)
    strides = node.attributes.get("strides", [1, 1])
    dilations = node.attributes.get("dilations", [1, 1])
    if len(window) != _ROW:
        raise node.refuse(f"a kernel of shape {list(kernel.shape)}", "one that moves over pictures")
    options: dict[str, Any] = {
        "kernel_size": window,
        "strides": strides,
        "dilation_rate": dilations,
        "use_bias": bias is not None,
        "name": node.name,
    }
    tensor = _padded(node, x.tensor, _pads(node, x, window, strides, dilations))
    weights = [kernel.transpose(2, 3, 1, 0)] + ([] if bias is None else [bias])
    channels = x.tensor.shape[-1]
    if groups == channels > 1:
        if strides[0] != strides[1]:
            raise node.refuse(f"a depthwise convolution with strides {strides}", "equal ones")
        each = outputs // groups
        weights[0] = kernel.reshape(groups, each, *window).transpose(2, 3, 0, 1)
        layer: Any = layers.DepthwiseConv2D(depth_multiplier=each, **options)
    else:
        layer = layers.Conv2D(outputs, groups=groups, **options)
    return Value(with_weights(layer, tensor, weights), picture=True)


def _pads(node: Node, x: Value, window: list[int], strides: list[int], dilations: list[int]) -> list[int]:
    """Top, left, bottom, right."""
    kind = node.attributes.get("auto_pad", b"NOTSET").decode()
    if kind in ("NOTSET", "VALID"):
        return list(node.attributes.get("pads", [0, 0, 0, 0])) if kind == "NOTSET" else [0, 0, 0, 0]
    pads = [0, 0, 0, 0]
    for axis, side in enumerate(x.sides):
        reach = (window[axis] - 1) * dilations[axis] + 1
        missing = max((-(-side // strides[axis]) - 1) * strides[axis] + reach - side, 0)
        less, more = missing // 2, missing - missing // 2
        pads[axis], pads[axis + 2] = (less, more) if kind == "SAME_UPPER" else (more, less)
    return pads


def _padded(node: Node, tensor: Any, pads: list[int]) -> Any:
    if not any(pads):
        return tensor
    top, left, bottom, right = pads
    return layers.ZeroPadding2D(((top, bottom), (left, right)), name=f"{node.name}_pad")(tensor)


def _dense(node: Node) -> Value:
    """Gemm, or MatMul with a constant."""
    x, kernel = node.value(), node.weights(1)
    bias = node.constant(2) if node.operator == "Gemm" else None
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    if any(node.attributes.get(name, value) != value for name, value in plain.items()) or x.picture:
        raise node.refuse("factors, or a turned input", "a plain product")
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
    """A function of each value by itself."""

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
    """Add, Sub, Mul or Div: of two values, or of one and a constant for each channel.

    Args:
        kind: the layer for two values; None: there is none.
        scales: whether a constant scales, or is added.
        inverse: whether the second one is taken off, or divided by.
    """

    def translate(node: Node) -> Value:
        places = [place for place in (0, 1) if node.is_constant(place)]
        if not places:
            if kind is None:
                raise node.refuse("two computed inputs", "a constant")
            x, y = node.values()
            if (x.picture, x.flat) != (y.picture, y.flat):
                raise node.refuse("a picture and a row", "two alike")
            for value, gate in ((x, y), (y, x)):
                if kind is layers.Multiply and _is_hard_swish(value, gate):
                    return replace(value, tensor=layers.Activation("hard_silu", name=node.name)(value.tensor))
            bigger = x if np.prod(x.tensor.shape[1:]) >= np.prod(y.tensor.shape[1:]) else y
            return replace(bigger, tensor=kind(name=node.name)([x.tensor, y.tensor]))
        x, constant = node.value(1 - places[0]), node.weights(places[0])
        if inverse and places == [0]:
            raise node.refuse("a constant before it", "one behind it")
        if x.flat is not None or not _by_channel(constant, x):
            raise node.refuse(f"a constant of shape {list(constant.shape)}", "a number, or one for each channel")
        if scales:
            factor, term = (1 / constant if inverse else constant), np.zeros(1)
        else:
            factor, term = np.ones(1), (-constant if inverse else constant)
        return replace(x, tensor=affine(x.tensor, factor, term, node.name))

    return translate


def _is_hard_swish(value: Value, gate: Value) -> bool:
    """Whether the second one is the hard sigmoid of the first: ONNX Runtime spells a HardSwish out."""
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


def _pooling(kind: Any) -> Callable[[Node], Value]:
    def translate(node: Node) -> Value:
        x = node.picture()
        window, strides = node.attributes["kernel_shape"], node.attributes.get("strides", [1, 1])
        pads = _pads(node, x, window, strides, [1, 1])
        if node.attributes.get("ceil_mode") or node.attributes.get("dilations", [1, 1]) != [1, 1]:
            raise node.refuse("ceil_mode or dilations", "neither")
        if any(pads) and kind is layers.AveragePooling2D and not node.attributes.get("count_include_pad"):
            raise node.refuse("padding that does not count", "count_include_pad")
        if any(pads) and kind is layers.MaxPooling2D and not _never_negative(x.tensor):
            raise node.refuse("padding of values that may be negative", "a Relu before it")
        tensor = _padded(node, x.tensor, pads)
        return Value(kind(window, strides=strides, name=node.name)(tensor), picture=True)

    return translate


def _never_negative(tensor: Any) -> bool:
    """Whether padding it with zeros is as good as leaving the padding out of a maximum."""
    return isinstance(tensor._keras_history.operation, layers.ReLU)


def _pad(node: Node) -> Value:
    x = node.picture()
    pads = node.integers("pads", 1)
    value = node.attributes.get("value", 0.0)
    given = node.constant(2) if "pads" not in node.attributes else None
    if given is not None and given.size:
        value = float(np.ravel(given)[0])
    other_axes = [pads[place] for place in (0, 1, 4, 5)] if len(pads) == 8 else [1]
    if any(other_axes) or value or node.attributes.get("mode", b"constant") != b"constant":
        raise node.refuse(f"pads {pads} of {value:g}", "zeros around a picture")
    return replace(x, tensor=_padded(node, x.tensor, [pads[2], pads[3], pads[6], pads[7]]))


def _flatten(node: Node) -> Value:
    """Flatten, Reshape to a row, and Squeeze of a single place."""
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
        raise node.refuse("a picture", "a single place")
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
    "AveragePool": _pooling(layers.AveragePooling2D),
    "BatchNormalization": _batch_normalization,
    "Cast": lambda node: node.value(),  # of pixels: Keras's are float from the beginning
    "Clip": _clip,
    "Concat": _concatenate,
    "Conv": _convolution,
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
    "MaxPool": _pooling(layers.MaxPooling2D),
    "Mul": _arithmetic(layers.Multiply, scales=True, inverse=False),
    "Pad": _pad,
    "ReduceMean": _whole(layers.GlobalAveragePooling2D),
    "Relu": lambda node: _layer(layers.ReLU(name=node.name))(node),
    "Reshape": _flatten,
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax,
    "Squeeze": _flatten,
    "Sub": _arithmetic(None, scales=False, inverse=True),
    "Transpose": _transpose,
}
