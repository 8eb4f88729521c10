"""The phases of a run: the head alone, the whole network, then fake quantisation, its ranges moving, then frozen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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

    def rate_at(self, done: float) -> float:
        """The learning rate when the share ``done``, 0..1, of the phase's steps is behind it."""
        if done < self.warm_up:
            return self.learning_rate * done / self.warm_up
        cosine = (1 + math.cos(math.pi * (done - self.warm_up) / (1 - self.warm_up))) / 2
        return self.final_rate + (self.learning_rate - self.final_rate) * cosine


class LearningRate(keras.callbacks.Callback):
    """Sets the learning rate of each step. As a schedule of the optimiser's it would be part of the graph, once for
    each variable, and take a third of the time that tracing takes.
    """

    def __init__(self, phase: Phase, steps: int) -> None:
        """``steps`` are those of one epoch."""
        super().__init__()
        self._phase, self._steps = phase, steps
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done = (self._epoch + batch / self._steps) / self._phase.epochs
        self.model.optimizer.learning_rate = self._phase.rate_at(done)


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
