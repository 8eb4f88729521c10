"""ONNX's operators that move a window over a picture, and the padding around it, as Keras layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from keras import layers

from linnet_convert.onnx_to_keras.graph import Node, Value, with_weights

_AXES = 2


def convolution(node: Node) -> Value:
    """Conv, also depthwise."""
    x, kernel, bias = node.picture(), node.weights(1), node.constant(2)
    outputs, _, *window = kernel.shape
    groups = node.attributes.get("group", 1)
    strides = node.attributes.get("strides", [1, 1])
    dilations = node.attributes.get("dilations", [1, 1])
    if len(window) != _AXES:
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


def pooling(kind: Any) -> Callable[[Node], Value]:
    """AveragePool or MaxPool, by Keras's layer ``kind``."""

    def translate(node: Node) -> Value:
        x = node.picture()
        window, strides = node.attributes["kernel_shape"], node.attributes.get("strides", [1, 1])
        pads = _pads(node, x, window, strides, [1, 1])
        if node.attributes.get("ceil_mode") or node.attributes.get("dilations", [1, 1]) != [1, 1]:
            raise node.refuse("ceil_mode or dilations", "neither")
        if any(pads) and kind is layers.AveragePooling2D and not node.attributes.get("count_include_pad"):
            raise node.refuse("an average without its padding", "count_include_pad")
        if any(pads) and kind is layers.MaxPooling2D and not _never_negative(x.tensor):
            raise node.refuse("a maximum over padding and negative values", "a Relu before it")
        tensor = _padded(node, x.tensor, pads)
        return Value(kind(window, strides=strides, name=node.name)(tensor), picture=True)

    return translate


def _never_negative(tensor: Any) -> bool:
    """Whether a maximum is the same with padding of zeros as without padding."""
    return isinstance(tensor._keras_history.operation, layers.ReLU)


def pad(node: Node) -> Value:
    """Pad of a picture with zeros."""
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
