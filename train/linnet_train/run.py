"""A run from its recipe to its report; linnet_runtime.run_files names the files that it leaves."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import keras
import msgspec

from linnet_devices.api import Logits
from linnet_runtime.files import refuse_existing
from linnet_runtime.photo_file import is_utf8
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.run_files import (
    AUGMENTATION,
    CHECKPOINT_PREFIX,
    CONFIG,
    FLOAT_MODEL,
    HISTORY,
    KEPT_PHOTOS,
    METRICS,
    PROGRESS,
    QAT_MODEL,
    SPLITS,
    Config,
    Metrics,
    RunError,
    Splits,
    load_config,
    load_splits,
    save_json,
    save_run_photos,
)
from linnet_train.augment.page import PHOTOS, write_augmentation_page
from linnet_train.backend import device_count, shared_among
from linnet_train.data.dataset import Dataset, load_dataset
from linnet_train.errors import TrainingError
from linnet_train.recipes.reading import to_recipe
from linnet_train.recipes.recipe import Recipe
from linnet_train.report import Trained, classification_metrics, write_report
from linnet_train.training.batches import PhotosInTurn
from linnet_train.training.loop import PREDICT_BATCH, Watch, check_recipe, predict_logits, train_network
from linnet_train.training.phases import phases_of

_PIXELS = "pixels.npy"


def train(recipe: Recipe, run: Path | str) -> Metrics:
    """Trains a network as ``linnet train`` does, without a progress bar, and returns the run's figures.

    Args:
        recipe: what to train; its ``data`` is the folder or table of photos.
        run: the run's directory, which must not exist.

    Raises:
        TrainingError: the recipe has a value out of its range or asks for cross-validation; the data, the network or
            the weights cannot be used; the loss is not finite; or the run cannot be written.
    """
    run = Path(run)
    recipe = to_recipe(msgspec.to_builtins(recipe))  # msgspec checks values when it decodes, not in a constructor
    if recipe.split.fold == "each":
        raise TrainingError(
            "recipe $.split.fold", got="each", expected="a number; linnet train --folds cross-validates"
        )
    refuse_existing(run, overwrite=False, marker=CONFIG)
    check_recipe(recipe)
    with new_run(recipe, run):
        metrics, _ = finish_run(recipe, run, lambda done, total: None, lambda phase, steps: keras.callbacks.Callback())
    return metrics


@contextlib.contextmanager
def new_run(recipe: Recipe, run: Path) -> Iterator[None]:
    """Makes the run's directory, with the recipe in it, for the block to fill; an older run in its place goes.

    Where the block fails before there is a checkpoint to go on from, the directory goes and the older run is back, so
    that the next try finds the place as this one did. Ctrl-C is no failure: the run can be resumed.

    Raises:
        TrainingError: it cannot be written, or something else than a run is in its place.
    """
    for path in (recipe.data, run):
        if not is_utf8(path):
            raise TrainingError(
                str(path),
                got="a path that is not UTF-8",
                expected="UTF-8, because the run's files name it",
                fix="rename the folder",
            )
    older = run.with_name(f".{run.name}.{os.getpid()}.old") if run.exists() else None
    if older:
        refuse_existing(run, overwrite=True, marker=CONFIG)
        run.rename(older)
    try:
        _start(recipe, run)
        yield
    except Exception:
        if not any(path.name in (PROGRESS, METRICS) for path in run.rglob("*.json")):  # of a fold's run too
            shutil.rmtree(run, ignore_errors=True)
            if older:
                older.rename(run)
        raise
    finally:
        if older:
            shutil.rmtree(older, ignore_errors=True)


def _start(recipe: Recipe, run: Path) -> None:
    backend = keras.backend.backend()
    versions = {package: version(package) for package in ("linnet", "keras", "numpy")}
    versions[backend] = sys.modules[backend].__version__  # its package may have another name, as tensorflow-cpu has
    config = Config(recipe=msgspec.to_builtins(recipe), backend=backend, versions=versions)
    try:
        run.mkdir(parents=True)
        save_json(run / CONFIG, config)
    except OSError as error:
        raise TrainingError(str(run), got=error.strerror, expected="a new directory that can be written") from error


def load_recipe(run: Path) -> Recipe:
    """The recipe of a run. Raises TrainingError where there is none, or where the run is done."""
    try:
        recipe = msgspec.convert(load_config(run).recipe, type=Recipe)
    except (RunError, msgspec.ValidationError) as error:
        raise TrainingError(
            str(run / CONFIG),
            got=error.got if isinstance(error, RunError) else str(error),
            expected="the config.json of a run",
            fix="linnet train DATA --out RUN begins one",
        ) from error
    if (run / METRICS).exists():
        raise TrainingError(
            str(run),
            got="a run that is done",
            expected="one to go on with",
            fix=f"linnet convert {run} --out {run.name}.linnet",
        )
    return recipe


def finish_run(
    recipe: Recipe, run: Path, on_photo: Callable[[int, int], None], watch: Watch
) -> tuple[Metrics, Dataset]:
    """Does all of a run that is not done yet; ``metrics.json``, which comes last, says that it is.

    Returns the metrics and the data. Raises TrainingError; see ``load_dataset`` and ``train_network``.
    """
    started = time.monotonic()
    devices = device_count(recipe.devices, recipe.batch_size)
    spec = Preprocess(height=recipe.size, width=recipe.size, crop=recipe.crop)
    photos = load_dataset(Path(recipe.data), spec, recipe.seed, run / _PIXELS, on_photo, recipe.split)
    _write_splits(run, photos)
    save_run_photos(run, spec, {part: photos.sample(part, n, recipe.seed) for part, n in KEPT_PHOTOS.items()})
    if recipe.augment.active():
        shown = photos.sample("train", PHOTOS, recipe.seed)
        write_augmentation_page(run / AUGMENTATION, recipe.augment, shown, photos.classes, recipe.seed)
    decoded = time.monotonic()
    with shared_among(devices):
        history = train_network(recipe, photos, run, watch).history
    trained = time.monotonic()
    logits = {model: _logits(run / file, photos) for model, file in (("float", FLOAT_MODEL), ("int8", QAT_MODEL))}
    seconds = {"data": decoded - started, "training": trained - decoded, "testing": time.monotonic() - trained}
    config = load_config(run)
    temperature = write_report(run, Trained(config, photos, history, phases_of(recipe), logits, seconds))
    labels = photos.labels[photos.parts["test"]]
    metrics = Metrics(
        float_model=classification_metrics(logits["float"]["test"], labels, photos.classes),
        qat=classification_metrics(logits["int8"]["test"], labels, photos.classes),
        classes=photos.classes,
        splits={part: len(indices) for part, indices in photos.parts.items()},
        unreadable=len(photos.unreadable),
        not_read=len(photos.skipped),
        preprocess=spec,
        temperature=temperature,
        seconds=seconds,
    )
    save_json(run / HISTORY, history)
    save_json(run / METRICS, metrics)
    for pattern in (_PIXELS, PROGRESS, f"{CHECKPOINT_PREFIX}*", "partial-*", ".*"):
        for leftover in run.glob(pattern):
            leftover.unlink(missing_ok=True)
    return metrics, photos


def _write_splits(run: Path, photos: Dataset) -> None:
    """Writes ``splits.json``, or holds a resumed run to its own: another division would test on what it trained on."""
    parts = {part: photos.names_of(part) for part in photos.parts}
    splits = Splits(unreadable=photos.unreadable, **parts)
    path = run / SPLITS
    if (run / PROGRESS).exists() and path.exists() and load_splits(run) != splits:
        raise TrainingError(str(path), got="other photos in the folder now", expected="those that the run began with")
    save_json(path, splits)


def _logits(model: Path, photos: Dataset) -> dict[str, Logits]:
    """Of a model on the parts that judge it."""
    network = keras.saving.load_model(model, compile=False)
    return {part: predict_logits(network, PhotosInTurn(photos, part, PREDICT_BATCH)) for part in ("val", "test")}
