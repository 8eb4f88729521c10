"""The training of a run, phase by phase, from its last checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from linnet_devices.api import Logits, Pixels
from linnet_devices.errors import Setting
from linnet_runtime.run_files import CALIBRATION_PHOTOS, FLOAT_MODEL, QAT_MODEL
from linnet_train.backend import validation_batch
from linnet_train.data.dataset import Dataset
from linnet_train.errors import TrainingError
from linnet_train.models import build_model
from linnet_train.quantization import calibrate, quantize, round_biases
from linnet_train.recipes.recipe import Recipe
from linnet_train.training.batches import PhotoBatches, PhotosInTurn
from linnet_train.training.callbacks import Checkpoints, LearningRate, Reseed
from linnet_train.training.checkpoint import Progress, load_checkpoint, load_progress, write_model
from linnet_train.training.distillation import load_teacher
from linnet_train.training.optimizers import build_optimizer
from linnet_train.training.phases import Phase, phases_of
from linnet_train.training.precision import for_disk, for_training
from linnet_train.training.stochastic_depth import with_stochastic_depth
from linnet_train.training.trainer import Trainer, build_trainer

PREDICT_BATCH = 64

Watch = Callable[[Phase, int], keras.callbacks.Callback]


def train_network(recipe: Recipe, photos: Dataset, run: Path, watch: Watch) -> Progress:
    """Trains all phases of a recipe, and writes ``float.keras`` and ``qat.keras`` into the run's directory.

    Args:
        recipe: what to train.
        photos: the data.
        run: the run's directory. If it has a checkpoint, training continues from there.
        watch: is called with each phase and its number of steps per epoch, and returns the callback that shows its
            progress.

    Raises:
        TrainingError: as ``check_recipe``; a batch larger than the training part, a loss that is not finite, or a
            checkpoint that cannot be written.
    """
    keras.utils.set_random_seed(recipe.seed)
    _check_batch(recipe, photos)
    progress = load_progress(run)
    resumed = progress.weights is not None
    phases, teacher = phases_of(recipe), _teacher(recipe, len(photos.classes))
    model = None
    for number, phase in enumerate(phases):
        if number < progress.phase:
            continue
        if model is None or phase.quantized != phases[number - 1].quantized:
            start = _start(recipe, phase, photos, run, fresh=not resumed)
            model = for_training(start, "float32" if phase.quantized else recipe.precision)
        phase.prepare(model)
        trainer = build_trainer(recipe, phase, model, teacher, photos)
        first_epoch, ended = 0, False
        if resumed:
            load_checkpoint(run / str(progress.weights), trainer.model)
            first_epoch, ended, resumed = progress.epochs, progress.ended, False
        if not ended:
            _fit(recipe, phase, number, trainer, photos, run, progress, first_epoch, watch)
        trainer.conclude()
        if number + 1 == len(phases) or phases[number + 1].quantized != phase.quantized:
            model = for_disk(model)
            if phase.quantized:
                round_biases(model)
            _save(model, run / (QAT_MODEL if phase.quantized else FLOAT_MODEL))
    if not any(phase.quantized for phase in phases):  # no epochs: post-training quantization
        _save(_start_quantized(photos, run, recipe.seed), run / QAT_MODEL)
    return progress


def check_recipe(recipe: Recipe) -> None:
    """Checks a recipe as far as possible before the photos are read, which may take an hour.

    Raises:
        TrainingError: a network or weights that are not available, or an optimizer, schedule, layer or teacher that
            does not fit.
    """
    build_optimizer(recipe.optimizer)
    model = _build(recipe, classes=2, weights=recipe.weights)
    for phase in phases_of(recipe):
        if not phase.quantized:
            phase.prepare(model)
    _teacher(recipe, classes=None)


def _check_batch(recipe: Recipe, photos: Dataset) -> None:
    count = len(photos.parts["train"])
    if recipe.batch_size > count:
        raise TrainingError(
            Setting("batch_size"), got=recipe.batch_size, expected=f"at most {count}, the photos of the training part"
        )


def _teacher(recipe: Recipe, classes: int | None) -> keras.Model | None:
    if recipe.distillation is None:
        return None
    return load_teacher(Path(recipe.distillation.teacher), recipe.size, classes)


def _start(recipe: Recipe, phase: Phase, photos: Dataset, run: Path, *, fresh: bool) -> keras.Model:
    """The model before a phase. The weights of a resumed run are loaded from its checkpoint afterwards."""
    if phase.quantized:
        return _start_quantized(photos, run, recipe.seed)
    return _build(recipe, len(photos.classes), recipe.weights if fresh else "none")


def _build(recipe: Recipe, classes: int, weights: str) -> keras.Model:
    regularization = recipe.regularization
    model = build_model(
        recipe.model,
        classes=classes,
        size=recipe.size,
        alpha=recipe.alpha,
        weights=weights,
        dropout=regularization.dropout,
    )
    share = regularization.stochastic_depth
    return with_stochastic_depth(model, share) if share else model


def _start_quantized(photos: Dataset, run: Path, seed: int) -> keras.Model:
    model = quantize(keras.saving.load_model(run / FLOAT_MODEL, compile=False))
    calibrate(model, photos.sample("train", CALIBRATION_PHOTOS, seed).pixels)
    return model


def _fit(
    recipe: Recipe,
    phase: Phase,
    number: int,
    trainer: Trainer,
    photos: Dataset,
    run: Path,
    progress: Progress,
    first_epoch: int,
    watch: Watch,
) -> None:
    batches = PhotoBatches(photos, "train", recipe.batch_size, recipe.seed, first_epoch, recipe.sampling)
    trainer.model.fit(
        batches,
        validation_data=PhotosInTurn(photos, "val", validation_batch(PREDICT_BATCH, len(photos.parts["val"]))),
        epochs=phase.epochs,
        initial_epoch=first_epoch,
        shuffle=False,  # the batches are in random order already, and Keras's own shuffling could not be resumed
        callbacks=[
            LearningRate(phase, len(batches), progress),
            Reseed(recipe.seed, number),
            *trainer.callbacks(progress),
            Checkpoints(run, progress, number, phase),
            watch(phase, len(batches)),
        ],
        verbose=0,
    )


def _save(model: keras.Model, path: Path) -> None:
    model.trainable = True
    write_model(path, model.save)


def predict_logits(model: keras.Model, pixels: Pixels | PhotosInTurn) -> Logits:
    """uint8 [N, H, W, 3] to float32 logits [N, classes]."""
    logits: Logits = np.asarray(model.predict(pixels, batch_size=PREDICT_BATCH, verbose=0), dtype=np.float32)
    return logits
