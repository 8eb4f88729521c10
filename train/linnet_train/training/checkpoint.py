"""Where a run is, on the disk, so that a kill costs no more than the last seconds.

``progress.json`` names the phase, the epochs done in it, the history and the file of the weights; it is replaced in
one step, after the weights are whole, so that the two always fit.
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

from linnet_runtime.files import write_whole
from linnet_runtime.npz import NpzError, read_npz
from linnet_runtime.run_files import CHECKPOINT_PREFIX, PROGRESS
from linnet_train.errors import TrainingError


class Progress(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``phase`` is the index of the phase that the weights are from, ``epochs`` how many of its epochs they have seen,
    ``ended`` whether it is over, which it may be early; ``history`` has a row for each epoch of the run: its phase,
    Keras's figures, the last learning rate, and the seconds with validation.
    """

    phase: int = 0
    epochs: int = 0
    ended: bool = False
    weights: str | None = None
    history: list[dict[str, float | int | str]] = []

    def losses(self, epochs: int) -> list[float]:
        """The validation losses of the last so many epochs."""
        return [float(row["val_loss"]) for row in self.history[len(self.history) - epochs :]]


def load_progress(run: Path) -> Progress:
    """Where the run was. Raises TrainingError when that cannot be read."""
    path = run / PROGRESS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Progress)
    except FileNotFoundError:
        return Progress()
    except msgspec.DecodeError as error:
        raise TrainingError(str(path), got=str(error), expected="the progress that linnet train writes") from error


def save_checkpoint(run: Path, progress: Progress, model: keras.Model) -> None:
    """Writes the weights, with the optimizer's, and the progress, which it points to them; then the older weights go.

    The file is made in memory: where the disk is full, HDF5, which is Keras's own way, brings the process down.

    Raises TrainingError where they cannot be written; the older checkpoint is whole then.
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
    """Gives a model and its optimizer the weights of a checkpoint. Raises TrainingError where they do not fit."""
    variables = _variables(model)
    expected = f"{len(variables)} weights that fit the recipe"
    try:
        values = list(read_npz(path, most_bytes=path.stat().st_size).values())  # it is not compressed
    except (OSError, NpzError) as error:
        raise TrainingError(str(path), got=str(error), expected=expected) from error
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise TrainingError(str(path), got=f"{len(values)} others", expected=expected)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> list[Any]:
    return [*model.weights, *model.optimizer.variables]


def write_model(path: Path, save: Callable[[Path], None]) -> None:
    """Has a model's file written beside ``path`` and renamed to it: it is there whole, or not at all.

    Raises TrainingError where it cannot be written.
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
        begun = (path.parent / PROGRESS).exists()  # without, nothing of the run stays
        fix = f"make room, then linnet train --resume {path.parent}" if begun else "make room"
        raise TrainingError(str(path), got=got, expected="a file that can be written", fix=fix) from error
