"""Where a run is, on the disk, so that a kill costs no more than the last seconds.

``progress.json`` names the phase, the epochs done in it, the history and the file of the weights; it is replaced in
one step, after the weights are whole, so that the two always fit.
"""

from __future__ import annotations

import time
from pathlib import Path

import keras
import msgspec

from linnet_runtime.files import write_whole
from linnet_train.errors import TrainingError

PROGRESS = "progress.json"
_LEAST_SECONDS_BETWEEN = 15.0  # writing after each of many short epochs would cost more than it saves


class Progress(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``phase`` is the index of the phase that the weights are from, ``epochs`` how many of its epochs they have seen;
    ``history`` has a row for each epoch of the run: its phase, Keras's figures, the last learning rate, and the seconds
    with validation.
    """

    phase: int = 0
    epochs: int = 0
    weights: str | None = None
    history: list[dict[str, float | int | str]] = []


def load_progress(run: Path) -> Progress:
    """Where the run was. Raises TrainingError when that cannot be read."""
    path = run / PROGRESS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Progress)
    except FileNotFoundError:
        return Progress()
    except msgspec.DecodeError as error:
        raise TrainingError(str(path), got=str(error), expected="the progress that linnet train writes") from error


class Checkpoints(keras.callbacks.Callback):
    """Writes the weights, with the optimiser's, and the progress: after an epoch when enough time has passed, and
    after the last one of a phase. A loss that is not finite ends the run before it can reach the disk.
    """

    def __init__(self, run: Path, progress: Progress, phase: int, epochs: int) -> None:
        super().__init__()
        self._run, self._progress, self._phase, self._epochs = run, progress, phase, epochs
        self._saved_at = self._epoch_began_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch_began_at = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        if not all(abs(value) < float("inf") for value in logs.values()):
            raise TrainingError(
                f"epoch {epoch + 1} of {self._epochs}",
                got=f"loss {logs.get('loss')}",
                expected="a finite loss",
                fix="start again with a smaller --learning-rate, or --qat-learning-rate where that phase is int8",
            )
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = time.monotonic() - self._epoch_began_at
        row = {"phase": self._phase, "epoch": epoch + 1, **logs, "learning_rate": rate, "seconds": seconds}
        self._progress.history.append(row)
        self._progress.phase, self._progress.epochs = self._phase, epoch + 1
        if epoch + 1 == self._epochs or time.monotonic() - self._saved_at >= _LEAST_SECONDS_BETWEEN:
            self._save()

    def _save(self) -> None:
        older = self._progress.weights
        name = f"checkpoint-{self._phase}-{self._progress.epochs}.weights.h5"
        partial = self._run / f"partial-{name}"
        self.model.save_weights(partial)
        partial.rename(self._run / name)
        self._progress.weights = name
        write_whole(self._run / PROGRESS, msgspec.json.encode(self._progress))
        if older is not None and older != name:
            (self._run / older).unlink(missing_ok=True)
        self._saved_at = time.monotonic()
