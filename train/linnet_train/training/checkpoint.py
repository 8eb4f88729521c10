"""Checkpoints: the state of a run on the disk, so that a kill loses no more than the last seconds.

``progress.json`` has the phase, the finished epochs in it, the history and the name of the weights' file. It is
replaced in one step, after the weights have been written, so that the two always match.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np

from linnet_runtime.files.folders import read_regular, write_whole
from linnet_runtime.files.npz import NpzError, read_npz
from linnet_runtime.run_files import CHECKPOINT_PREFIX, PROGRESS
from linnet_train.errors import TrainingError

_MOST_PROGRESS_BYTES = 1 << 28  # a row for each epoch


class Progress(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``progress.json``: how far a run has been trained."""

    phase: int = 0
    """The index of the phase of the weights."""
    epochs: int = 0
    """The finished epochs of that phase."""
    ended: bool = False
    """Whether the phase has ended, which may be before its last epoch."""
    weights: str | None = None
    """The name of the checkpoint's file; None before the first."""
    history: list[dict[str, float | int | str]] = []
    """A row for each epoch of the run: its phase, Keras's figures, the last learning rate, and the seconds, validation
    included.
    """

    def losses(self, epochs: int) -> list[float]:
        """The validation losses of the last ``epochs`` epochs."""
        return [float(row["val_loss"]) for row in self.history[len(self.history) - epochs :]]


def load_progress(run: Path) -> Progress:
    """The progress of a run; a new one where there is no file. Raises TrainingError for a file that cannot be read."""
    path = run / PROGRESS
    try:
        return msgspec.json.decode(read_regular(path, _MOST_PROGRESS_BYTES), type=Progress)
    except FileNotFoundError:
        return Progress()
    except OSError as error:
        raise TrainingError(str(path), got=error.strerror, expected="the progress that linnet train writes") from error
    except msgspec.DecodeError as error:
        raise TrainingError(str(path), got=str(error), expected="the progress that linnet train writes") from error


def save_checkpoint(run: Path, progress: Progress, model: keras.Model) -> None:
    """Writes the weights of a model and its optimizer and then the progress, and removes the older weights.

    The file is made in memory. Keras's own format, HDF5, ends the process when the disk is full.

    Raises TrainingError when the files cannot be written. The older checkpoint then remains whole.
    """
    older = progress.weights
    name = f"{CHECKPOINT_PREFIX}{progress.phase}-{progress.epochs}.npz"
    buffer = io.BytesIO()
    np.savez(buffer, *(keras.ops.convert_to_numpy(variable) for variable in _variables(model)))
    with _line_for(run / name):
        write_whole(run / name, buffer.getvalue())
        write_whole(run / PROGRESS, msgspec.json.encode(msgspec.structs.replace(progress, weights=name)))
    progress.weights = name
    if older is not None and older != name:
        (run / older).unlink(missing_ok=True)


def load_checkpoint(path: Path, model: keras.Model) -> None:
    """Loads a checkpoint into a model and its optimizer. Raises TrainingError for weights that do not fit."""
    variables = _variables(model)
    expected = f"{len(variables)} weights that fit the recipe"
    try:
        values = list(read_npz(path, most_bytes=path.stat().st_size).values())  # it is not compressed
    except (OSError, NpzError) as error:
        raise TrainingError(str(path), got=str(error), expected=expected) from error
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise TrainingError(str(path), got=f"{len(values)} weights of other shapes", expected=expected)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> list[Any]:
    return [*model.weights, *model.optimizer.variables]


def write_model(path: Path, save: Callable[[Path], None]) -> None:
    """Writes a model's file whole or not at all: ``save`` writes it beside ``path``, and it is then renamed.

    Raises TrainingError when the file cannot be written.
    """
    partial = path.with_name("partial-" + path.name)
    try:
        with _line_for(path):
            save(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _line_for(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        got = os.strerror(error.errno) if error.errno else str(error)  # HDF5's own text has addresses and three lines
        begun = (path.parent / PROGRESS).exists()  # without a checkpoint the run is removed
        fix = f"make room, then linnet train --resume {path.parent}" if begun else "make room"
        raise TrainingError(str(path), got=got, expected="a file that can be written", fix=fix) from error
