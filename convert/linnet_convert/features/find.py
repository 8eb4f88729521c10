"""Finds the end of a network, global average pooling and one dense layer, in the graph of its int8 .tflite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet_convert.readers.tflite_graph import Graph, Operator, Tensor
from linnet_runtime.features.head import Head, Steps

_UNSIGNED = 128  # from the steps of int8 to those of uint8
_AS_IT_IS = ("RESHAPE", "SQUEEZE", "QUANTIZE")  # the values stay, in another shape or in other steps
_BEHIND_LOGITS = (*_AS_IT_IS, "DEQUANTIZE")


@dataclass(frozen=True)
class Ending:
    """Where the last feature map is, and what the network computes from it."""

    features: int
    """The index of the feature map's tensor, [1, h, w, channels] in int8 or uint8."""
    head: Head
    """The pooling and the dense layer."""


def find_ending(graph: Graph) -> Ending | None:
    """The ending of a quantized network, or None if it does not end in global average pooling and one dense layer
    whose outputs are the logits.
    """
    dense = _before(graph, graph.outputs[0], _BEHIND_LOGITS)
    if dense is None or dense.options.get("fusedActivationFunction") != "NONE":
        return None
    weights, bias = _dense_weights(graph, dense)
    pooling = _before(graph, dense.inputs[0], _AS_IT_IS)
    if weights is None or pooling is None or not _is_global_average(graph, pooling):
        return None
    features, pooled = graph.tensors[pooling.inputs[0]], graph.tensors[dense.inputs[0]]
    steps, logits = _steps(pooled), _steps(graph.tensors[dense.outputs[0]])
    quantized = _steps(features) is not None and len(features.shape) == 4 and features.shape[3] == len(weights)
    if not quantized or steps is None or logits is None:
        return None
    return Ending(pooling.inputs[0], Head(weights, bias, steps, logits))


def _before(graph: Graph, index: int, passed: tuple[str, ...]) -> Operator | None:
    """The operator that computes a tensor; operators of the kinds ``passed`` in between are skipped."""
    makers = {output: operator for operator in graph.operators for output in operator.outputs}
    while (maker := makers.get(index)) is not None:
        if maker.name not in passed:
            return maker
        index = maker.inputs[0]
    return None


def _dense_weights(graph: Graph, operator: Operator) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Weights [channels, classes] and bias [classes] of a dense layer or a 1x1 convolution; else (None, ...)."""
    none = np.zeros(0, np.float32)
    if operator.name not in ("FULLY_CONNECTED", "CONV_2D"):
        return None, none
    weights = graph.tensors[operator.inputs[1]]
    if weights.data is None or (operator.name == "CONV_2D" and weights.shape[1:3] != (1, 1)):
        return None, none
    classes = weights.shape[0]
    has_bias = len(operator.inputs) > 2 and operator.inputs[2] >= 0
    bias = _real(graph.tensors[operator.inputs[2]]) if has_bias else np.zeros(classes, np.float32)
    return np.ascontiguousarray(_real(weights).reshape(classes, -1).T), bias


def _is_global_average(graph: Graph, operator: Operator) -> bool:
    picture = graph.tensors[operator.inputs[0]].shape
    if operator.name == "MEAN":
        axes = graph.tensors[operator.inputs[1]].data
        return axes is not None and sorted(axes.ravel().tolist()) == [1, 2]
    if operator.name != "AVERAGE_POOL_2D" or operator.options["fusedActivationFunction"] != "NONE":
        return False
    window = (operator.options["filterHeight"], operator.options["filterWidth"])
    return window == picture[1:3] and graph.tensors[operator.outputs[0]].shape[1:3] == (1, 1)


def _real(constant: Tensor) -> NDArray[np.float32]:
    """The real values of a quantized constant."""
    quantization, data = constant.quantization, constant.data
    if data is None or quantization is None:
        raise ValueError(f"{constant.name} is not a quantized constant")
    axes = [1] * data.ndim
    if quantization.per_channel:
        axes[quantization.axis] = -1
    zero_point, scale = quantization.zero_point.reshape(axes), quantization.scale.reshape(axes)
    return ((data.astype(np.int64) - zero_point) * scale.astype(np.float64)).astype(np.float32)


def _steps(tensor: Tensor) -> Steps | None:
    """The uint8 steps of an activation; None if it is not quantized to 8 bits."""
    quantization = tensor.quantization
    if quantization is None or quantization.per_channel or tensor.dtype not in (np.int8, np.uint8):
        return None
    shift = _UNSIGNED if tensor.dtype == np.int8 else 0
    return Steps(float(quantization.scale[0]), int(quantization.zero_point[0]) + shift)
