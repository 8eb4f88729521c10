"""The phases of a run: first the head, then the backbone, then fake quantization with moving and with frozen ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras

from linnet_devices.errors import Setting
from linnet_train.errors import TrainingError
from linnet_train.quantization import freeze_ranges, move_ranges
from linnet_train.recipes.recipe import Features, Gradual, Last, Recipe, Whole
from linnet_train.recipes.schedules import Constant, Cosine, Schedule
from linnet_train.training.transfer import train_all, train_head, train_last, train_share

_RANGES_FROZEN_SHARE = 1 / 3  # of the quantized epochs, at their end
_QAT_FLOOR = 0.1  # of the learning rate, where the ranges freeze

Prepare = Callable[[keras.Model], None]


@dataclass(frozen=True)
class Phase:
    """A part of a training, with its own layers that train."""

    name: str
    epochs: int
    """The epochs of this phase."""
    learning_rate: float
    """The rate at the schedule's share 1."""
    schedule: Schedule
    """The share of the learning rate at each step."""
    prepare: Prepare
    """Sets which layers of the model train."""
    quantized: bool = False
    """Whether the phase trains the fake-quantized model."""
    begins: int = 0
    """The epochs of the schedule in earlier phases."""
    schedule_epochs: int | None = None
    """The epochs of the whole schedule; None: those of this phase."""
    patience: int | None = None
    """Epochs without a lower validation loss after which the phase ends, with its best weights. None: never early."""

    def rate_at(self, done: float, losses: Sequence[float]) -> float:
        """The learning rate after ``done`` epochs of the phase, which need not be a whole number.

        ``losses`` are the validation losses of the schedule's epochs so far.
        """
        epochs = self.schedule_epochs or self.epochs
        return self.learning_rate * self.schedule.share_at(self.begins + done, epochs, losses)


def phases_of(recipe: Recipe) -> list[Phase]:
    """The phases of a recipe in order, without those that have no epochs.

    Raises TrainingError where layers are to keep their initial weights, and the recipe has none.
    """
    if recipe.weights == "none" and not isinstance(recipe.transfer, Whole):
        raise TrainingError(
            "recipe $.transfer.name",
            got="no weights to transfer",
            expected="whole, or initial weights",
            fix=Setting("weights", placeholder="FILE"),
        )
    floats = [phase for phase in _float_phases(recipe) if phase.epochs]
    floats[-1] = replace(floats[-1], patience=recipe.regularization.early_stopping)
    rate, thaw = recipe.qat_learning_rate, floats[-1].prepare  # layers that are frozen in float stay frozen
    frozen_epochs = round(recipe.qat_epochs * _RANGES_FROZEN_SHARE)
    moving_epochs = recipe.qat_epochs - frozen_epochs
    falling, to_zero = Cosine(warm_up=0.0, final=_QAT_FLOOR), Cosine(warm_up=0.0)
    moving, frozen = partial(_move, thaw), partial(_freeze, thaw)
    quantized = [
        Phase("int8, ranges moving", moving_epochs, rate, falling, moving, quantized=True),
        Phase("int8, ranges frozen", frozen_epochs, rate * _QAT_FLOOR, to_zero, frozen, quantized=True),
    ]
    return [*floats, *(phase for phase in quantized if phase.epochs)]


def _float_phases(recipe: Recipe) -> list[Phase]:
    rate, epochs, transfer = recipe.learning_rate, recipe.epochs, recipe.transfer
    head = Phase("head", recipe.head_epochs if recipe.weights != "none" else 0, rate, Constant(), train_head)

    def scheduled(name: str, prepare: Prepare, of: int = epochs, **place: Any) -> Phase:
        return Phase(name, of, rate, recipe.schedule, prepare, **place)

    if isinstance(transfer, Features):
        return [scheduled("head", train_head)]
    if isinstance(transfer, Last):
        return [head, scheduled("last blocks", partial(train_last, last=transfer))]
    if not isinstance(transfer, Gradual):
        return [head, scheduled("whole", train_all)]
    stages, phases, begins = transfer.stages, [head], 0
    for stage in range(1, stages + 1):
        ends = epochs * stage // stages
        name = "whole" if stage == stages else f"last {stage}/{stages}"
        prepare = partial(train_share, share=stage / stages)
        phases.append(scheduled(name, prepare, ends - begins, begins=begins, schedule_epochs=epochs))
        begins = ends
    return phases


def _move(thaw: Prepare, model: keras.Model) -> None:
    thaw(model)
    move_ranges(model)


def _freeze(thaw: Prepare, model: keras.Model) -> None:
    """Freezes the batch statistics together with the ranges: they still vary from step to step, and the weights' scales
    with them.
    """
    thaw(model)
    freeze_ranges(model)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
