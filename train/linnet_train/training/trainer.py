"""The compiled model of a phase: augmentation, the network and its losses, with the copies of weights that it keeps."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from linnet_train.augment.layers import augment, mix
from linnet_train.augment.mix import MixModel
from linnet_train.backend import uses_xla
from linnet_train.data.dataset import Dataset
from linnet_train.recipes.recipe import Recipe
from linnet_train.training.callbacks import JudgeAverage, KeepBest
from linnet_train.training.checkpoint import Progress
from linnet_train.training.distillation import DistillationLoss
from linnet_train.training.losses import loss_function
from linnet_train.training.optimizers import build_optimizer
from linnet_train.training.phases import Phase
from linnet_train.training.precision import scale_losses
from linnet_train.training.weight_copies import WeightAverage, WeightCopies


@dataclass(frozen=True)
class Trainer:
    """A model for ``fit``, and the copies of the network's weights that it keeps."""

    model: keras.Model
    """Takes uint8 pixels [N, H, W, 3] and gives the network's logits [N, classes]."""
    average: WeightAverage | None
    """The moving average of the weights; validation uses it instead of the weights."""
    best: WeightCopies | None
    """The weights that validation used in the best epoch so far."""

    def callbacks(self, progress: Progress) -> list[keras.callbacks.Callback]:
        """The callbacks that update the average and the best weights."""
        judge = [JudgeAverage(self.average)] if self.average is not None else []
        keep = [KeepBest(self.best, self.average, progress)] if self.best is not None else []
        return [*judge, *keep]

    def conclude(self) -> None:
        """Gives the network the weights that the phase ends with: the best, the average, or its own."""
        kept = self.best or self.average
        if kept is not None:
            kept.restore()


def build_trainer(
    recipe: Recipe, phase: Phase, network: keras.Model, teacher: keras.Model | None, photos: Dataset
) -> Trainer:
    """The trainer of a phase. ``phase.prepare`` must have been called on the network.

    Raises TrainingError as ``build_optimizer``.
    """
    regularization = recipe.regularization
    pixels = keras.Input(network.input_shape[1:], dtype="uint8")
    seen, own = augment(pixels, recipe.augment, recipe.seed), None
    if recipe.augment.mixes:
        seen, own = mix(seen, recipe.augment, recipe.seed)
    logits = network(seen)
    if teacher is not None and recipe.distillation is not None:
        logits = DistillationLoss(teacher, recipe.distillation)(logits, seen)
    average = best = None
    if regularization.ema is not None and not phase.quantized:
        average = WeightAverage(network, regularization.ema)
        logits = average(logits)
    if phase.patience is not None:
        best = WeightCopies(network)
        logits = best(logits)
    if regularization.l2:
        _add_l2(network, regularization.l2)
    trainer = keras.Model(pixels, logits) if own is None else MixModel(pixels, [logits, own])
    counts = np.bincount(photos.labels[photos.parts["train"]], minlength=len(photos.classes))
    trainer.compile(
        optimizer=scale_losses(build_optimizer(recipe.optimizer), network),
        loss=loss_function(recipe.loss, counts),
        loss_weights=None if recipe.distillation is None else 1 - recipe.distillation.weight,
        # Named by a string, Keras would make the metric within the first step, and TensorFlow would trace it twice.
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=uses_xla(),
    )
    trainer.optimizer.build(trainer.trainable_variables)
    return Trainer(trainer, average, best)


def _add_l2(network: keras.Model, strength: float) -> None:
    """Sets the regularizers of variables, not of layers' configurations, so that a saved model does not have them."""
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.regularizer = keras.regularizers.L2(strength)
