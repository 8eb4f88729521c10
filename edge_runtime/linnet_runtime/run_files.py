"""The files of a run: what ``linnet train`` leaves, and ``linnet convert``, the demo and the benchmarks read. Internal.

config.json                   the recipe, and the versions that trained it
splits.json                   the photos of each part by name, and those that could not be read
photos.npz                    a few photos of each part, preprocessed, so that nothing later needs DATA
augmentation.html             photos as training steps see them; written before training begins
progress.json, checkpoint-*   the state of training, until it is done
float.keras, qat.keras        the models
history.json, metrics.json    a row for each epoch; the figures on the test part, written last
report.json, report.html      all figures, and the page with them
curves.png                    loss and accuracy over the epochs
confusion_matrix.png          the int8 model's on the test part
confusion.csv                 both models' confusion matrices, where there are more than 100 classes

A cross-validation is a directory of runs, ``fold-1``, ``fold-2`` and so on, with ``folds.json`` beside them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.errors import LinnetError
from linnet_runtime.files.folders import read_regular, write_whole
from linnet_runtime.files.npz import NpzError, numbers, read_npz
from linnet_runtime.photos.listing import Photos
from linnet_runtime.preprocess import Preprocess

CONFIG = "config.json"
SPLITS = "splits.json"
PHOTOS = "photos.npz"
AUGMENTATION = "augmentation.html"
PROGRESS = "progress.json"
CHECKPOINT_PREFIX = "checkpoint-"
FLOAT_MODEL, QAT_MODEL = "float.keras", "qat.keras"
HISTORY, METRICS = "history.json", "metrics.json"
REPORT, REPORT_PAGE = "report.json", "report.html"
CURVES, CONFUSION_MATRIX = "curves.png", "confusion_matrix.png"
CONFUSION_TABLE = "confusion.csv"
FOLDS = "folds.json"

# The quantization ranges are calibrated on the training photos that the run keeps, and on no other: linnet convert
# reads them again from photos.npz and states them in the bundle's report.
CALIBRATION_PHOTOS = 256
KEPT_PHOTOS = {"val": 512, "train": CALIBRATION_PHOTOS}

_MOST_JSON_BYTES = 1 << 30  # splits.json names every photo


class RunError(LinnetError):
    """A run that is damaged, not done, or no run."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """``config.json``: how the run was trained."""

    recipe: dict[str, Any]
    """The recipe as plain data; linnet_train.recipes.recipe says what is in it."""
    backend: str
    """Keras's backend: "tensorflow" or "jax"."""
    versions: dict[str, str]
    """The version of each package that took part."""


class Splits(msgspec.Struct, frozen=True, kw_only=True):
    """``splits.json``: the photos of each part, by their names relative to DATA."""

    train: list[str]
    val: list[str]
    test: list[str]
    unreadable: dict[str, str]
    """The photos that were left out, each with the reason."""


class ModelMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """A model on the photos of the test part."""

    top1: float
    """The share of photos whose most probable class is the true one."""
    top5: float
    """The share of photos whose true class is among the five most probable."""
    cross_entropy: float
    """The mean cross-entropy of the model's own probabilities, in nats."""
    recall: dict[str, float]
    """The recall of each class that has photos."""
    n: int
    """The number of photos."""


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """``metrics.json``: the figures of a run that is done."""

    float_model: ModelMetrics = msgspec.field(name="float")
    """The float model, ``float.keras``."""
    qat: ModelMetrics
    """The quantization-aware model, ``qat.keras``."""
    classes: tuple[str, ...]
    """The labels, sorted by code point."""
    splits: dict[str, int]
    """The number of photos of each part."""
    unreadable: int
    """The number of photos that were left out because they cannot be read."""
    not_read: int
    """The number of files in DATA that are not read; see ``SkippedFile``."""
    preprocess: Preprocess
    """The preprocessing of every photo."""
    temperature: float
    """The divisor of the int8 model's logits before the softmax, fitted on the validation part."""
    seconds: dict[str, float]
    """The seconds of each step."""


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def load_config(run: Path) -> Config:
    """``config.json`` of a run. Raises RunError where it cannot be read."""
    return _load(run / CONFIG, Config)


def load_splits(run: Path) -> Splits:
    """``splits.json`` of a run. Raises RunError where it cannot be read."""
    return _load(run / SPLITS, Splits)


def load_metrics(run: Path) -> Metrics:
    """``metrics.json`` of a run that is done. Raises RunError where the run is not done or not a run."""
    if not (run / METRICS).exists():
        if (run / CONFIG).is_file():
            raise RunError(
                str(run), got="a run that is not done", expected="a trained one", fix=f"linnet train --resume {run}"
            )
        raise RunError(
            str(run),
            got=f"a folder without {METRICS}" if run.exists() else "no such file or folder",
            expected="a run of linnet train",
            fix=f"linnet train DATA --out {run} makes one",
        )
    return _load(run / METRICS, Metrics)


def _load(path: Path, kind: type[_Struct]) -> _Struct:
    try:
        return msgspec.json.decode(read_regular(path, _MOST_JSON_BYTES), type=kind)
    except OSError as error:
        raise RunError(str(path), got=error.strerror, expected="a file of a run of linnet train") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(str(path), got=str(error), expected=f"the {path.name} of a run of linnet train") from error


def save_json(path: Path, value: object) -> None:
    """Writes a file of a run, whole or not at all; NumPy's scalars become plain numbers."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2) + b"\n")


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in JSON")


def save_run_photos(run: Path, spec: Preprocess, parts: dict[str, Photos]) -> None:
    """Writes ``photos.npz``: a few photos of each part, preprocessed as ``spec`` says, with their labels."""
    arrays: dict[str, NDArray[np.uint8] | NDArray[np.int64]] = {}
    for part, photos in parts.items():
        arrays |= {f"{part}_pixels": photos.pixels, f"{part}_labels": photos.labels}
    arrays["preprocess"] = np.frombuffer(msgspec.json.encode(spec), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its stub reads the keywords as allow_pickle
    write_whole(run / PHOTOS, buffer.getvalue())


def keeps_photos(folder: Path) -> bool:
    """Whether a folder is a run with its ``photos.npz``. Raises RunError where that cannot be found out."""
    try:
        return (folder / PHOTOS).is_file()
    except OSError as error:
        raise RunError(str(folder), got=error.strerror, expected="a run, or a folder or a table of photos") from error


def load_run_photos(run: Path, spec: Preprocess | None = None) -> dict[str, Photos]:
    """The photos of ``photos.npz`` by part. Raises RunError where they were not preprocessed as ``spec`` says."""
    path = run / PHOTOS
    try:
        arrays = read_npz(path, most_bytes=path.stat().st_size)  # it is not compressed
        kept = msgspec.json.decode(numbers(arrays, "preprocess", np.uint8, ()).tobytes(), type=Preprocess)
        photos = {part: _photos_of(part, arrays, kept) for part in KEPT_PHOTOS}
    except (OSError, NpzError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        got = error.strerror if isinstance(error, OSError) else str(error)
        raise RunError(str(path), got=got, expected="the photos that a run keeps") from error
    if spec not in (None, kept):
        got, expected = msgspec.to_builtins(kept), msgspec.to_builtins(spec)
        raise RunError(str(path), got=f"photos preprocessed as {got}", expected=str(expected))
    return photos


def _photos_of(part: str, arrays: dict[str, NDArray[Any]], spec: Preprocess) -> Photos:
    pixels = numbers(arrays, f"{part}_pixels", np.uint8, (spec.height, spec.width, 3))
    labels = numbers(arrays, f"{part}_labels", np.int64, ())
    if len(pixels) != len(labels):
        raise NpzError(f"{len(pixels)} photos and {len(labels)} labels in the part {part}")
    return Photos(pixels, labels)
