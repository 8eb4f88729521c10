"""The size of a network: parameters, multiply-adds and bytes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import keras

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")
# What a .tflite has beside the weights. For each output channel: a bias of four bytes, and for both the kernel and the
# bias a scale of four and a zero point of eight. For each layer: names, shapes and activations, measured on MobileNetV2
# and ResNet-8.
_BYTES_A_CHANNEL = 4 + 2 * (4 + 8)
_BYTES_A_LAYER = 900


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Models that are built in the block have shapes but no values, which is enough to count and saves time and memory.

    They must not be used after the block. Keras also forgets which names it has given to layers.
    """
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        keras.utils.clear_session()  # or Keras would initialize the values later


def count_parameters(model: keras.Model) -> int:
    """The trainable parameters, frozen or not: all except the statistics of batch normalizations."""
    return sum(
        math.prod(weight.shape)
        for layer in model.layers
        for weight in layer.weights
        if not weight.name.startswith("moving_")
    )


def count_macs(model: keras.Model) -> int:
    """The multiply-adds of the convolutions and dense layers for one picture of the model's input size."""
    return sum(
        math.prod(weight.shape) * math.prod(layer.output.shape[1:-1])
        for layer in model.layers
        for weight in layer.weights
        if weight.name in _KERNELS
    )


def int8_kilobytes(model: keras.Model) -> float:
    """The approximate size of the int8 .tflite, in units of 1000 bytes."""
    return sum(
        (math.prod(weight.shape) + _BYTES_A_CHANNEL * layer.output.shape[-1] + _BYTES_A_LAYER) / 1000
        for layer in model.layers
        for weight in layer.weights
        if weight.name in _KERNELS
    )
