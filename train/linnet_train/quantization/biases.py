"""Rounds biases to what an engine can hold: int32, in steps of the input's scale times the weights' scale. Internal.

In a depthwise convolution, which has few and large weights, such a step can be a tenth of an output step, so a Keras
model with unrounded biases would differ from the engines. Where a channel's weights are tiny compared with its bias,
int32 could not hold the number of steps; there the weights' scale is made larger.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from linnet_train.quantization.graph import calls, readers
from linnet_train.quantization.layers import (
    SMALLEST_RANGE,
    FakeQuantize,
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
)

_MOST = 2**30  # steps of a bias: half of what int32 can hold
_LEVELS, _WEIGHT_LEVELS = 255, 127
Channels = NDArray[np.float64]
_WEIGHTED = (QuantizedConv2D, QuantizedDense, QuantizedDepthwiseConv2D)


def round_biases(model: keras.Model) -> None:
    """Moves every bias, or the offset of the batch normalization behind it, to the nearest value that fits an engine.

    Args:
        model: a model of ``quantize`` whose ranges are calibrated or trained. Further training moves the biases away
            again.
    """
    readers_of = readers(model)
    rounded_by: dict[int, FakeQuantize | None] = {}
    for node in calls(model):
        layer, source = node.operation, rounded_by.get(id(node.input_tensors[0]))
        if isinstance(layer, FakeQuantize):
            source = layer
        rounded_by[id(node.outputs[0])] = source
        if isinstance(layer, _WEIGHTED) and source is not None and len(layer._inbound_nodes) == 1:
            behind = [reader and reader.operation for reader in readers_of[id(node.outputs[0])]]
            norm = behind[0] if isinstance(behind[0], keras.layers.BatchNormalization) else None
            _round_bias(layer, norm, source)


def _round_bias(layer: Any, norm: Any, source: FakeQuantize) -> None:
    moved = norm.beta if norm is not None else layer.bias
    if moved is None:
        return
    if norm is not None and norm.scale:  # the converter refuses a scale of zero
        gamma = np.asarray(norm.gamma)
        norm.gamma.assign(np.where(np.abs(gamma) < SMALLEST_RANGE, SMALLEST_RANGE, gamma))
    factor, bias = _as_the_engine_adds(layer, norm)
    step = float(source.maximum.numpy() - source.minimum.numpy()) / _LEVELS * factor  # still without the weights' scale
    _widen(layer, np.abs(bias) / (_MOST * step))
    step = step * _weight_scales(layer)
    moved.assign(np.asarray(moved) + (bias / step).round() * step - bias)


def _as_the_engine_adds(layer: Any, norm: Any) -> tuple[Channels, Channels]:
    """For each channel: the absolute factor of the weights, and the bias, with the batch normalization folded in."""
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else 0.0
    if norm is None:
        return np.ones_like(bias), np.asarray(bias)
    mean, variance = np.asarray(norm.moving_mean, np.float64), np.asarray(norm.moving_variance, np.float64)
    factor = (np.asarray(norm.gamma, np.float64) if norm.scale else 1.0) / np.sqrt(variance + norm.epsilon)
    return np.abs(factor), np.asarray(norm.beta, np.float64) + (bias - mean) * factor


def _weight_scales(layer: Any) -> Channels:
    """The scale of each output channel, or the one of a dense layer."""
    largest = np.abs(_by_channel(layer)).max(axis=0)
    return np.maximum(largest, SMALLEST_RANGE) / _WEIGHT_LEVELS


def _widen(layer: Any, least: Channels) -> None:
    """Enlarges the largest weight of a channel where the channel's scale is below ``least``.

    The channel's output changes by less than a ten-thousandth of its bias.
    """
    weights = _by_channel(layer)
    if weights.shape[1] == 1:
        least = least.max(keepdims=True)
    largest = np.abs(weights).argmax(axis=0)
    narrow = np.flatnonzero(_weight_scales(layer) < least)
    for channel in narrow:
        weight = weights[largest[channel], channel]
        weights[largest[channel], channel] = np.copysign(least[channel] * _WEIGHT_LEVELS, weight)
    if len(narrow):
        layer.kernel.assign(weights.reshape(layer.kernel.shape))


def _by_channel(layer: Any) -> Channels:
    """A copy of the weights as [weights of a channel, channels]."""
    kernel = np.array(layer.kernel, np.float64)
    if isinstance(layer, QuantizedDense):
        return kernel.reshape(-1, 1)
    channels = layer.filters if isinstance(layer, QuantizedConv2D) else kernel.shape[2] * kernel.shape[3]
    return kernel.reshape(-1, channels)
