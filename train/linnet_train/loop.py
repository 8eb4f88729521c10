"""The training of a run: phase by phase, from where it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from linnet_devices.api import Logits, Pixels
from linnet_train.augment.layers import augment
from linnet_train.augment.settings import Augmentation
from linnet_train.backend import uses_xla
from linnet_train.batch_norm import fuse_batch_norm, plain_batch_norm
from linnet_train.checkpoint import Checkpoints, Progress, load_progress
from linnet_train.data import Dataset, PhotoBatches
from linnet_train.models import build_model
from linnet_train.optimizers import build_optimizer
from linnet_train.phases import LearningRate, Phase, phases_of
from linnet_train.quantize import calibrate, quantize
from linnet_train.recipe import Recipe

FLOAT_MODEL, QAT_MODEL = "float.keras", "qat.keras"
_CALIBRATION_PHOTOS = 256
_PREDICT_BATCH = 64

Watch = Callable[[Phase, int], keras.callbacks.Callback]


def train_network(recipe: Recipe, photos: Dataset, run: Path, watch: Watch) -> Progress:
    """Trains to the recipe's end, and leaves ``float.keras`` and ``qat.keras`` in the run's directory.

    Args:
        recipe: what to train.
        photos: the data.
        run: the run's directory; where it holds a checkpoint, training goes on from there.
        watch: gives the callback that shows a phase's progress, of the phase and the number of its steps.

    Raises:
        TrainingError: a network or weights that cannot be had, or a loss that is not finite.
    """
    keras.utils.set_random_seed(recipe.seed)
    progress = load_progress(run)
    resumed = progress.weights is not None
    phases = phases_of(recipe)
    model = None
    for number, phase in enumerate(phases):
        if number < progress.phase:
            continue
        if model is None or phase.quantized != phases[number - 1].quantized:
            model = fuse_batch_norm(_start(recipe, phase, photos, run, fresh=not resumed))
        phase.prepare(model)
        trainer = _trainer(recipe, phase, model, photos)
        first_epoch = 0
        if resumed:
            trainer.load_weights(run / str(progress.weights))
            first_epoch, resumed = progress.epochs, False
        if first_epoch < phase.epochs:
            _fit(recipe, phase, number, trainer, photos, run, progress, first_epoch, watch)
        if number + 1 == len(phases) or phases[number + 1].quantized != phase.quantized:
            _save(plain_batch_norm(model), run / (QAT_MODEL if phase.quantized else FLOAT_MODEL))
    if not any(phase.quantized for phase in phases):  # no epochs: post-training quantisation
        _save(_start_quantized(photos, run, recipe.seed), run / QAT_MODEL)
    return progress


def _start(recipe: Recipe, phase: Phase, photos: Dataset, run: Path, *, fresh: bool) -> keras.Model:
    """The model as it stands before a phase; the weights of a resumed one come from its checkpoint."""
    if phase.quantized:
        return _start_quantized(photos, run, recipe.seed)
    return build_model(
        recipe.model,
        classes=len(photos.classes),
        size=recipe.size,
        alpha=recipe.alpha,
        weights=recipe.weights if fresh else "none",
        dropout=recipe.regularization.dropout,
    )


def _start_quantized(photos: Dataset, run: Path, seed: int) -> keras.Model:
    model = quantize(keras.saving.load_model(run / FLOAT_MODEL, compile=False))
    calibrate(model, photos.sample("train", _CALIBRATION_PHOTOS, seed).pixels)
    return model


def _trainer(recipe: Recipe, phase: Phase, model: keras.Model, photos: Dataset) -> keras.Model:
    """The model behind its augmentation, compiled for a phase."""
    pixels = keras.Input(model.input_shape[1:], dtype="uint8")
    trainer = keras.Model(pixels, model(augment(pixels, Augmentation(view=recipe.augment), recipe.seed)))
    trainer.compile(
        optimizer=build_optimizer(recipe.optimizer),
        loss=_cross_entropy(len(photos.classes), recipe.loss.label_smoothing),
        # By its name Keras would make it within the first training step, which TensorFlow then traces twice.
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=uses_xla(),
    )
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def _cross_entropy(
    classes: int, smoothing: float
) -> Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]:
    """Cross-entropy of integer labels with label smoothing (Szegedy et al., 2015), which Keras has for one-hot only."""

    def cross_entropy(labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        one_hot = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), classes)
        return keras.losses.categorical_crossentropy(one_hot, logits, from_logits=True, label_smoothing=smoothing)

    return cross_entropy


def _fit(
    recipe: Recipe,
    phase: Phase,
    number: int,
    trainer: keras.Model,
    photos: Dataset,
    run: Path,
    progress: Progress,
    first_epoch: int,
    watch: Watch,
) -> None:
    batches = PhotoBatches(photos, "train", recipe.batch_size, recipe.seed, first_epoch)
    validation = photos.all_of("val")
    trainer.fit(
        batches,
        validation_data=(validation.pixels, validation.labels),
        validation_batch_size=_PREDICT_BATCH,
        epochs=phase.epochs,
        initial_epoch=first_epoch,
        shuffle=False,  # the batches are in a random order, and Keras would mix them anew by what no checkpoint keeps
        callbacks=[
            LearningRate(phase, len(batches)),
            Checkpoints(run, progress, number, phase.epochs),
            watch(phase, len(batches)),
        ],
        verbose=0,
    )


def _save(model: keras.Model, path: Path) -> None:
    partial = path.with_name("partial-" + path.name)
    model.trainable = True
    model.save(partial)
    partial.rename(path)


def predict_logits(model: keras.Model, pixels: Pixels) -> Logits:
    """uint8 [N, H, W, 3] to float32 logits [N, classes]."""
    logits: Logits = np.asarray(model.predict(pixels, batch_size=_PREDICT_BATCH, verbose=0), dtype=np.float32)
    return logits
