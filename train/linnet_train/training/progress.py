"""The progress of a training: a bar for each phase on a terminal, else a line for each epoch."""

from __future__ import annotations

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from linnet_train.training.phases import Phase


class PhaseProgress(keras.callbacks.Callback):
    """Shows the progress of one phase."""

    def __init__(self, console: Console, phase: Phase, steps: int) -> None:
        super().__init__()
        self._console, self._phase, self._steps = console, phase, steps
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(phase.name, total=steps * phase.epochs, figures="")
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._progress.update(self._task, completed=self._epoch * self._steps + batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        figures = f"loss {logs['loss']:.3f}  top-1 {logs['accuracy']:.3f}  validation {logs['val_accuracy']:.3f}"
        self._progress.update(self._task, figures=figures)
        if not self._console.is_terminal:
            self._console.print(f"{self._phase.name}: epoch {epoch + 1}/{self._phase.epochs}  {figures}")

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._progress.stop()

    def close(self) -> None:
        """Removes the bar from the terminal; it is called also when training ends in the middle of a phase."""
        self._progress.stop()
