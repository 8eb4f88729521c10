"""How large a network is: parameters, multiply-adds, bytes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import keras

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")
# In a .tflite, beside the weights: an output channel has a bias of four bytes, and for kernel and bias a scale of four
# and a zero point of eight; a layer has names, shapes and activations, measured on MobileNetV2 and ResNet-8.
_BYTES_A_CHANNEL = 4 + 2 * (4 + 8)
_BYTES_A_LAYER = 900


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Models that are built in the block have shapes and no values: enough to count, in a fraction of time and memory.

    They must not outlive the block, and Keras forgets the names that it has given to layers.
    """
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        keras.utils.clear_session()  # or Keras would make up the values after all, at its next chance


def count_parameters(model: keras.Model) -> int:
    """The parameters that training moves, frozen or not: all but the statistics of batch normalization."""
    return sum(
        math.prod(weight.shape)
        for layer in model.layers
        for weight in layer.weights
        if not weight.name.startswith("moving_")
    )


def count_macs(model: keras.Model) -> int:
    """The multiply-adds of the convolutions and dense layers for one picture of the model's size."""
    return sum(
        math.prod(weight.shape) * math.prod(layer.output.shape[1:-1])
        for layer in model.layers
        for weight in layer.weights
        if weight.name in _KERNELS
    )


def int8_kilobytes(model: keras.Model) -> float:
    """About the size of the int8 .tflite, in 1000 bytes."""
    return sum(
        (math.prod(weight.shape) + _BYTES_A_CHANNEL * layer.output.shape[-1] + _BYTES_A_LAYER) / 1000
        for layer in model.layers
        for weight in layer.weights
        if weight.name in _KERNELS
    )
