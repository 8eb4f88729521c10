"""What a run leaves to read: metrics as JSON, the confusion matrix and the curves as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure  # not pyplot: no screen is wanted, and no global state
from numpy.typing import NDArray

from linnet_devices.api import Logits
from linnet_runtime.decision import probabilities

_WIDE = (8.0, 4.5)  # inches
_MOST_NUMBERED = 20  # classes; more numbers in the matrix cannot be read
_SMALLEST_PROBABILITY = 1e-12


def classification_metrics(logits: Logits, labels: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, Any]:
    """Top-1, top-5, cross-entropy and each class's recall of logits float32 [N, classes] against int64 [N]."""
    best_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    correct = best_five == labels[:, None]
    of_label = probabilities(logits, 1.0)[np.arange(len(labels)), labels]
    return {
        "top1": float(correct[:, 0].mean()),
        "top5": float(correct.any(axis=1).mean()),
        "cross_entropy": float(-np.log(np.maximum(of_label, _SMALLEST_PROBABILITY)).mean()),
        "recall": {
            name: float(correct[labels == i, 0].mean()) for i, name in enumerate(classes) if (labels == i).any()
        },
        "n": len(labels),
    }


def confusion_matrix(logits: Logits, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """[classes, classes]: how often row's class was called column's."""
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (labels, logits.argmax(axis=1)), 1)
    return matrix


def draw_confusion(path: Path, matrix: NDArray[np.int64], classes: tuple[str, ...], title: str) -> None:
    """The matrix as a PNG, coloured by the share of the row."""
    side = max(4.5, 0.45 * len(classes) + 2.0)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="called", ylabel="is", title=title)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    if len(classes) <= _MOST_NUMBERED:
        for row, column in np.ndindex(*matrix.shape):
            if matrix[row, column]:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, label="share of the class", shrink=0.8)
    figure.savefig(path, dpi=110)


def draw_curves(path: Path, history: list[dict[str, Any]], phases: list[str]) -> None:
    """Loss and accuracy of training and validation over the epochs as a PNG, the phases marked."""
    epochs = np.arange(1, len(history) + 1)
    figure = Figure(figsize=_WIDE, layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for axes, key, label in ((loss_axes, "loss", "loss"), (accuracy_axes, "accuracy", "top-1")):
        axes.plot(epochs, [row[key] for row in history], label="training")
        axes.plot(epochs, [row[f"val_{key}"] for row in history], label="validation")
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
        for i in range(1, len(history)):
            if history[i]["phase"] != history[i - 1]["phase"]:
                axes.axvline(i + 0.5, color="grey", linestyle=":")
    starts = [i for i in range(len(history)) if i == 0 or history[i]["phase"] != history[i - 1]["phase"]]
    for i in starts:
        accuracy_axes.text(i + 1, 0.02, phases[history[i]["phase"]], rotation=90, fontsize=7, color="grey")
    accuracy_axes.set_ylim(0, 1.02)
    loss_axes.legend()
    figure.savefig(path, dpi=110)
