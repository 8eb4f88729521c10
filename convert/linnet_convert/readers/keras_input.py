"""What a Keras network does with its pixels before its first convolution: augmentation, which ends with training, and a
normalization of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from linnet_convert.facts import CHANNELS, IDENTITY, Triple
from linnet_train.quantization.graph import functional, readers, walk

_ONLY_IN_TRAINING = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout2D,
)
_AUGMENTATION = ("Random", "RandAugment", "AugMix", "CutMix", "MixUp")
_ALWAYS = ("RandomCrop",)  # which crops the center when nobody trains
# Operations of Keras on tensors, as preprocess_input of its applications leaves them, with a number for each channel.
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda pixels, number: pixels + number,
    "Subtract": lambda pixels, number: pixels - number,
    "Multiply": lambda pixels, number: pixels * number,
    "Divide": lambda pixels, number: pixels / number,
    "TrueDivide": lambda pixels, number: pixels / number,
}


@dataclass(frozen=True)
class Beginning:
    """A network in two: the normalization of its pixels, and what follows."""

    normalizes: bool
    """Whether the file's network takes pixels 0..255 as they are."""
    mean: Triple
    """``network`` takes (pixel - mean) / std."""
    std: Triple
    """See ``mean``."""
    network: keras.Model
    """What follows, with a float32 input and without layers that work only in training."""


def split_beginning(network: keras.Model) -> Beginning:
    """Looks into a network, and into the models within it. One without a graph of layers stays whole."""
    graph = functional(network)
    if graph is None or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return Beginning(False, *IDENTITY, network)
    (given,) = graph.inputs
    pixels = keras.Input(given.shape[1:], dtype="float32", name="pixels")
    splitting = _Splitting(pixels)
    outputs = splitting.run(graph, pixels)
    rest = keras.Model(pixels, outputs, name=network.name)
    mean, std = splitting.normalization()
    return Beginning(splitting.normalizes, mean, std, rest)


class _Splitting:
    """What one ``split_beginning`` remembers from layer to layer: pixels * scale + offset is the normalized picture."""

    def __init__(self, pixels: Any) -> None:
        self._pixels = pixels
        self._scale, self._offset = np.ones(CHANNELS), np.zeros(CHANNELS)
        self.normalizes = False

    def normalization(self) -> tuple[Triple, Triple]:
        """Mean and standard deviation."""
        mean, std = -self._offset / self._scale, 1 / self._scale
        return _triple(mean), _triple(std)

    def run(self, graph: Any, inputs: Any) -> Any:
        """The graph's output on new inputs."""
        readers_of = readers(graph)

        def call(node: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
            inner = functional(node.operation)
            if inner is not None:
                return self.run(inner, x)
            if _works_in_training_alone(node.operation):
                return x
            alone = len(readers_of[id(node.input_tensors[0])]) == 1
            if x is self._pixels and alone and self._normalize(node.operation, args, kwargs):
                return x
            kwargs.pop("training", None)
            return node.operation(x, *args, **kwargs)

        return walk(graph, inputs, call)

    def _normalize(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Takes over what a layer or an operation does with the pixels, where that is a normalization by channel."""
        steps = _as_arithmetic(operation, [*args, *kwargs.values()])
        if not steps or not all(np.size(number) in (1, CHANNELS) for _, number in steps):
            return False
        scale, offset = self._scale, self._offset
        for name, number in steps:
            by_channel = np.broadcast_to(np.ravel(np.asarray(number, np.float64)), (CHANNELS,))
            offset = _ARITHMETIC[name](offset, by_channel)
            if name not in ("Add", "Subtract"):
                scale = _ARITHMETIC[name](scale, by_channel)
        if not (scale > 0).all() or not np.isfinite(scale).all():
            return False
        self._scale, self._offset, self.normalizes = scale, offset, True
        return True


def _as_arithmetic(operation: Any, constants: list[Any]) -> list[tuple[str, Any]]:
    """What a layer or an operation does with each value, in the names of ``_ARITHMETIC``; [] for anything else."""
    if isinstance(operation, layers.Rescaling):
        return [("Multiply", operation.scale), ("Add", operation.offset)]
    if isinstance(operation, layers.Normalization) and not operation.invert:
        mean, variance = (keras.ops.convert_to_numpy(values) for values in (operation.mean, operation.variance))
        return [("Subtract", mean), ("Divide", np.maximum(np.sqrt(variance), keras.backend.epsilon()))]
    name = type(operation).__name__
    if isinstance(operation, keras.Layer) or name not in _ARITHMETIC or len(constants) != 1:
        return []
    if isinstance(constants[0], keras.KerasTensor):
        return []
    return [(name, _number(constants[0]))]


def _number(constant: Any) -> NDArray[np.float64]:
    return np.asarray(keras.ops.convert_to_numpy(constant), np.float64)


def _works_in_training_alone(operation: Any) -> bool:
    name = type(operation).__name__
    return isinstance(operation, _ONLY_IN_TRAINING) or (name.startswith(_AUGMENTATION) and name not in _ALWAYS)


def _triple(values: NDArray[np.float64]) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third
