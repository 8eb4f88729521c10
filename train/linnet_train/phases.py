"""The phases of a run: the head alone, the whole network, then fake quantisation, its ranges moving, then frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from linnet_train.models import head_layers
from linnet_train.quantize import freeze_ranges, move_ranges
from linnet_train.recipe import Recipe

_RANGES_FROZEN_SHARE = 1 / 3  # of the quantised epochs, the last ones
_WARM_UP = 0.1  # without it, the first steps at a high rate undo what the weights knew
_QAT_FLOOR = 0.1  # of the learning rate, where the ranges freeze


@dataclass(frozen=True)
class Phase:
    """``epochs`` with the layers that ``prepare`` lets move, at a cosine from ``learning_rate`` to ``final_rate``."""

    name: str
    epochs: int
    learning_rate: float
    final_rate: float
    prepare: Callable[[keras.Model], None]
    quantized: bool
    warm_up: float = 0.0
    """The share of the steps in which the learning rate rises from zero to its first value."""


def phases_of(recipe: Recipe) -> list[Phase]:
    """The phases that a recipe asks for, in order; those without epochs are left out."""
    rate, qat_rate = recipe.learning_rate, recipe.qat_learning_rate
    head_epochs = recipe.head_epochs if recipe.weights != "none" else 0
    frozen_epochs = round(recipe.qat_epochs * _RANGES_FROZEN_SHARE)
    moving_epochs = recipe.qat_epochs - frozen_epochs
    phases = [
        Phase("head", head_epochs, rate, rate, _train_head, quantized=False),
        Phase("whole", recipe.epochs, rate, 0.0, _train_all, quantized=False, warm_up=_WARM_UP),
        Phase("int8, ranges moving", moving_epochs, qat_rate, qat_rate * _QAT_FLOOR, _train_moving, quantized=True),
        Phase("int8, ranges frozen", frozen_epochs, qat_rate * _QAT_FLOOR, 0.0, _train_frozen, quantized=True),
    ]
    return [phase for phase in phases if phase.epochs]


def _train_head(model: keras.Model) -> None:
    for layer in model.layers:
        layer.trainable = layer.name in head_layers(model)


def _train_all(model: keras.Model) -> None:
    for layer in model.layers:
        layer.trainable = True


def _train_moving(model: keras.Model) -> None:
    _train_all(model)
    move_ranges(model)


def _train_frozen(model: keras.Model) -> None:
    """Batch statistics still jitter from step to step, and the scales with them: they freeze with the ranges."""
    _train_all(model)
    freeze_ranges(model)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
