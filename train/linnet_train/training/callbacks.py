"""Keras callbacks: what happens between the steps and the epochs of a phase."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from linnet_devices.errors import Setting
from linnet_train.errors import TrainingError
from linnet_train.training.checkpoint import Progress, save_checkpoint
from linnet_train.training.phases import Phase
from linnet_train.training.weight_copies import WeightAverage, WeightCopies

_SAVING_SHARE = 0.1  # of the time, at most, for writing checkpoints: epochs may be as short as the writing

Logs = dict[str, Any] | None


class LearningRate(keras.callbacks.Callback):
    """Sets the learning rate of each step.

    As a schedule of the optimizer, the rate would be in the graph once for each variable, and take a third of the
    tracing time.
    """

    def __init__(self, phase: Phase, steps: int, progress: Progress) -> None:
        """``steps`` is the number of steps per epoch."""
        super().__init__()
        self._phase, self._steps, self._progress = phase, steps, progress
        self._epoch = 0
        self._losses: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        self._losses = self._progress.losses(self._phase.begins + epoch)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self.model.optimizer.learning_rate = self._phase.rate_at(self._epoch + batch / self._steps, self._losses)


class Reseed(keras.callbacks.Callback):
    """Seeds Keras's random generators at the start of each epoch, from the run's seed, the phase and the epoch.

    A checkpoint does not keep the state of the generators. Without this, a resumed run would repeat the augmentation
    and the dropout of its first epoch.
    """

    def __init__(self, seed: int, phase: int) -> None:
        super().__init__()
        self._seed, self._phase = seed, phase

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        states = [variable for variable in self.model.variables if variable.name == "seed_generator_state"]
        seeds = np.random.default_rng((self._seed, self._phase, epoch)).integers(0, 2**31, len(states))
        for state, seed in zip(states, seeds, strict=True):
            state.assign(np.array([seed, 0], dtype=state.dtype))


class JudgeAverage(keras.callbacks.Callback):
    """Makes validation use the average of the weights instead of the weights of the last step."""

    def __init__(self, average: WeightAverage) -> None:
        super().__init__()
        self._average = average

    def on_test_begin(self, logs: Logs = None) -> None:
        self._average.swap()

    def on_test_end(self, logs: Logs = None) -> None:
        self._average.swap()


class KeepBest(keras.callbacks.Callback):
    """Copies the weights that validation used when their loss is the lowest of the phase."""

    def __init__(self, best: WeightCopies, average: WeightAverage | None, progress: Progress) -> None:
        super().__init__()
        self._best, self._average, self._progress = best, average, progress

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if (logs or {})["val_loss"] < min(self._progress.losses(epoch), default=float("inf")):
            self._best.store(self._average)


class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint after each epoch, or, if epochs are short, after some, and always after the last of a phase.

    Ends the phase when the best epoch is ``patience`` epochs ago. A loss that is not finite ends the run before weights
    with such a loss are written.
    """

    def __init__(self, run: Path, progress: Progress, number: int, phase: Phase) -> None:
        super().__init__()
        self._run, self._progress, self._number, self._phase = run, progress, number, phase
        self._epoch_began_at = time.monotonic()
        self._next_save_at = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_began_at = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        if not all(abs(value) < float("inf") for value in logs.values()):
            raise self._not_finite(epoch, logs)
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = time.monotonic() - self._epoch_began_at
        row = {"phase": self._number, "epoch": epoch + 1, **logs, "learning_rate": rate, "seconds": seconds}
        progress = self._progress
        progress.history.append(row)
        progress.phase, progress.epochs = self._number, epoch + 1
        progress.ended = epoch + 1 == self._phase.epochs or self._has_waited(progress.losses(epoch + 1))
        self.model.stop_training = progress.ended
        if progress.ended or time.monotonic() >= self._next_save_at:
            self._save()

    def _has_waited(self, losses: list[float]) -> bool:
        patience = self._phase.patience
        return patience is not None and len(losses) - 1 - int(np.argmin(losses)) >= patience

    def _save(self) -> None:
        began_at = time.monotonic()
        save_checkpoint(self._run, self._progress, self.model)
        ended_at = time.monotonic()
        self._next_save_at = ended_at + (ended_at - began_at) * (1 / _SAVING_SHARE - 1)

    def _not_finite(self, epoch: int, logs: dict[str, float]) -> TrainingError:
        rate = "qat_learning_rate" if self._phase.quantized else "learning_rate"
        kept = f"; {self._run / self._progress.weights} has the weights before it" if self._progress.weights else ""
        return TrainingError(
            f"{self._phase.name}, epoch {epoch + 1} of {self._phase.epochs}",
            got=f"loss {logs.get('loss')}, validation loss {logs.get('val_loss')}{kept}",
            expected="finite losses, as a smaller learning rate gives",
            fix=Setting(rate, float(f"{self._phase.learning_rate / 10:.2g}")),
        )
