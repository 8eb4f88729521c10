"""The ranges of a quantized model's activations: calibrated on photos, then moved by training, then frozen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import keras

from linnet_devices.api import Pixels
from linnet_train.quantization.biases import round_biases
from linnet_train.quantization.graph import calls, walk
from linnet_train.quantization.layers import FROZEN, MOVE, FakeQuantize

_BATCH = 32


def calibrate(model: keras.Model, pixels: Pixels) -> None:
    """Sets every range to the average of the photos' minima and maxima, a batch at a time, and freezes it; then rounds
    the biases (``round_biases``).

    Args:
        model: from ``quantize``.
        pixels: uint8 [N, H, W, 3] of training photos, all classes among them.
    """
    for layer in fake_quantize_layers(model):
        layer.start_observing()
    observe = _compiled(model) if keras.backend.backend() == "jax" else partial(model, training=False)
    for start in range(0, len(pixels), _BATCH):
        observe(pixels[start : start + _BATCH])
    freeze_ranges(model)
    round_biases(model)


def _compiled(model: keras.Model) -> Callable[[Pixels], None]:
    """Observes a batch in one pass on JAX, which would otherwise compile each operation by itself.

    The first 32 photos of MobileNetV2 0.35 at 96 px took a core 51 s so, and 5 s in one pass.
    """
    import jax

    layers = list(fake_quantize_layers(model))

    @jax.jit
    def observed(trainable: list[Any], others: list[Any], batches: Any, pixels: Any) -> list[Any]:
        for layer in layers:
            layer.batches_observed = batches
        _, others = model.stateless_call(trainable, others, pixels, training=False)
        return others

    batches = count()

    def observe(pixels: Pixels) -> None:
        trainable, others = model.trainable_variables, model.non_trainable_variables
        values = [[variable.value for variable in variables] for variables in (trainable, others)]
        for variable, value in zip(others, observed(*values, float(next(batches)), pixels), strict=True):
            variable.assign(value)

    return observe


def move_ranges(model: keras.Model) -> None:
    """Lets the ranges follow the training steps; compile the model afterwards."""
    for layer in fake_quantize_layers(model):
        layer.mode = MOVE


def freeze_ranges(model: keras.Model) -> None:
    """Holds the ranges; compile the model afterwards."""
    for layer in fake_quantize_layers(model):
        layer.mode = FROZEN


def fake_quantize_layers(model: keras.Model) -> Iterator[FakeQuantize]:
    """The model's layers that round activations."""
    return (layer for layer in model.layers if isinstance(layer, FakeQuantize))


@dataclass(frozen=True)
class Rounding:
    """A tensor that an engine stores: the layer that rounds it, its number of values for one picture, and the names of
    the layers that computed it since the tensors that were stored before.
    """

    layer: FakeQuantize
    size: int
    computed_by: frozenset[str]


def roundings(model: keras.Model) -> Iterator[Rounding]:
    """Every rounding of a quantized model, in the order in which ``compute`` meets them."""
    behind: dict[int, frozenset[str]] = {}
    for node in calls(model):
        layer, output = node.operation, node.outputs[0]
        names = frozenset({layer.name}).union(*(behind.get(id(tensor), frozenset()) for tensor in node.input_tensors))
        rounds = isinstance(layer, FakeQuantize)
        if rounds:
            yield Rounding(layer, math.prod(output.shape[1:]), names)
        behind[id(output)] = frozenset() if rounds else names


def compute(model: keras.Model, pixels: Pixels, stored: Callable[[FakeQuantize, Any], Any]) -> Any:
    """What a quantized model makes of uint8 [N, H, W, 3], layer by layer; ``stored(layer, inputs)`` gives what goes on
    in the place of a rounding's output.
    """

    def call(node: Any, *args: Any, **kwargs: Any) -> Any:
        layer = node.operation
        return stored(layer, args[0]) if isinstance(layer, FakeQuantize) else layer(*args, **kwargs)

    return walk(model, pixels, call)
