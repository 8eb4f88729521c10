"""A run, from its recipe to its report. linnet_runtime.run_files lists the files of a run. Internal."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import keras
import msgspec

from linnet_devices.api import Logits
from linnet_runtime.files.folders import refuse_existing, require_utf8
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
from linnet_train.run_lock import locked, put_aside
from linnet_train.training.batches import PhotosInTurn
from linnet_train.training.loop import PREDICT_BATCH, Watch, check_recipe, predict_logits, train_network
from linnet_train.training.phases import phases_of

_PIXELS = "pixels.npy"


def train(recipe: Recipe, run: Path | str) -> Metrics:
    """Trains a network as ``linnet train`` does, without a progress bar, and returns the run's figures.

    Args:
        recipe: the settings; its ``data`` is the folder or table of photos.
        run: the run's directory, which must not exist.

    Raises:
        TrainingError: the recipe has a value out of its range or asks for cross-validation; the data, the network or
            the weights cannot be used; the loss is not finite; or the run cannot be written.
    """
    run = Path(run)
    recipe = to_recipe(msgspec.to_builtins(recipe))  # msgspec checks values when it decodes, not in constructors
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
    """Makes the run's directory with the recipe, and locks it while the block fills it. An older run is replaced.

    If the block fails before the first checkpoint, the directory is removed and the older run is restored. After ctrl-C
    the directory stays, and the run can be resumed.

    Raises:
        TrainingError: the directory cannot be written, another process writes to it, or it exists and is not a run.
    """
    _check_paths(recipe, run)
    with contextlib.ExitStack() as locks:
        older = None
        if run.exists():
            refuse_existing(run, overwrite=True, marker=CONFIG)
            locks.enter_context(locked(run))
            older = locks.enter_context(put_aside(run))
        try:
            _make_directory(run)
        except TrainingError:
            if older:
                older.rename(run)
            raise
        try:
            locks.enter_context(locked(run))
            save_json(run / CONFIG, _config(recipe))
            yield
        except Exception:
            if not _has_begun(run):
                shutil.rmtree(run, ignore_errors=True)
                if older:
                    older.rename(run)
            raise


def _check_paths(recipe: Recipe, run: Path) -> None:
    for path in (recipe.data, run):
        require_utf8(path, "the run's files name it", TrainingError)


def _make_directory(run: Path) -> None:
    try:
        run.mkdir(parents=True)
    except OSError as error:  # for example, another process has made it
        raise TrainingError(str(run), got=error.strerror, expected="a new directory that can be written") from error


def _config(recipe: Recipe) -> Config:
    backend = keras.backend.backend()
    versions = {package: version(package) for package in ("linnet", "keras", "numpy")}
    versions[backend] = sys.modules[backend].__version__  # the package may have another name: tensorflow-cpu
    return Config(recipe=msgspec.to_builtins(recipe), backend=backend, versions=versions)


def _has_begun(run: Path) -> bool:
    """Whether the run, or a fold of a cross-validation, has a checkpoint or is done."""
    return any(path.name in (PROGRESS, METRICS) for path in run.rglob("*.json"))


def load_recipe(run: Path) -> Recipe:
    """The recipe of a run that is not done. Raises TrainingError if it is done, or if the folder is not a run."""
    try:
        recipe = msgspec.convert(load_config(run).recipe, type=Recipe)
    except (RunError, msgspec.ValidationError) as error:
        raise TrainingError(
            str(run / CONFIG),
            got=error.got if isinstance(error, RunError) else str(error),
            expected="the config.json of a run",
            fix="linnet train DATA --out RUN starts one",
        ) from error
    if (run / METRICS).exists():
        raise TrainingError(
            str(run),
            got="a run that is done",
            expected="an interrupted run",
            fix=f"linnet convert {run} --out {run.name}.linnet",
        )
    return recipe


def finish_run(
    recipe: Recipe, run: Path, on_photo: Callable[[int, int], None], watch: Watch
) -> tuple[Metrics, Dataset]:
    """Does what a run still needs: reads the photos, trains, tests and writes the report.

    ``metrics.json`` is written last; a run with this file is done.

    Args:
        recipe: the settings.
        run: the run's directory.
        on_photo: is called with (photos read, photos in total).
        watch: returns the callback that shows the progress of a phase; see ``train_network``.

    Returns:
        The metrics and the data.

    Raises:
        LinnetError: as ``load_dataset`` and ``train_network``.
    """
    devices = device_count(recipe.devices, recipe.batch_size)
    spec = Preprocess(height=recipe.size, width=recipe.size, crop=recipe.crop)
    started = time.monotonic()
    photos = load_dataset(Path(recipe.data), spec, recipe.seed, run / _PIXELS, on_photo, recipe.split)
    _keep_photos(recipe, run, photos, spec)
    read = time.monotonic()
    with shared_among(devices):
        history = train_network(recipe, photos, run, watch).history
    trained = time.monotonic()
    logits = {model: _logits(run / file, photos) for model, file in (("float", FLOAT_MODEL), ("int8", QAT_MODEL))}
    seconds = {"data": read - started, "training": trained - read, "testing": time.monotonic() - trained}
    phases = phases_of(recipe)
    temperature = write_report(run, Trained(load_config(run), photos, history, phases, logits, seconds))
    metrics = _metrics(photos, logits, spec, temperature, seconds)
    save_json(run / HISTORY, history)
    save_json(run / METRICS, metrics)
    _remove_leftovers(run)
    return metrics, photos


def _keep_photos(recipe: Recipe, run: Path, photos: Dataset, spec: Preprocess) -> None:
    """Writes the names of the photos in each part, some of the photos, and the augmentation page."""
    _write_splits(run, photos)
    save_run_photos(run, spec, {part: photos.sample(part, n, recipe.seed) for part, n in KEPT_PHOTOS.items()})
    if recipe.augment.active():
        shown = photos.sample("train", PHOTOS, recipe.seed)
        write_augmentation_page(run / AUGMENTATION, recipe.augment, shown, photos.classes, recipe.seed)


def _metrics(
    photos: Dataset,
    logits: dict[str, dict[str, Logits]],
    spec: Preprocess,
    temperature: float,
    seconds: dict[str, float],
) -> Metrics:
    labels = photos.labels[photos.parts["test"]]
    return Metrics(
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


def _remove_leftovers(run: Path) -> None:
    """Removes the files that only training needs, and those that a killed process may have left."""
    for pattern in (_PIXELS, PROGRESS, f"{CHECKPOINT_PREFIX}*", "partial-*", ".*"):
        for leftover in run.glob(pattern):
            leftover.unlink(missing_ok=True)


def _write_splits(run: Path, photos: Dataset) -> None:
    """Writes ``splits.json``. A resumed run must have the same split, or it would be tested on training photos."""
    parts = {part: photos.names_of(part) for part in photos.parts}
    splits = Splits(unreadable=photos.unreadable, **parts)
    path = run / SPLITS
    if (run / PROGRESS).exists() and path.exists() and load_splits(run) != splits:
        raise TrainingError(
            str(path), got="other photos in the folder now", expected="those with which the run was started"
        )
    save_json(path, splits)


def _logits(model: Path, photos: Dataset) -> dict[str, Logits]:
    """The logits of a model on the validation and the test part."""
    network = keras.saving.load_model(model, compile=False)
    return {part: predict_logits(network, PhotosInTurn(photos, part, PREDICT_BATCH)) for part in ("val", "test")}
