"""The plots of a run's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure  # not pyplot, which has global state and may want a screen
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from linnet_train.report.calibration import Reliability
from linnet_train.report.metrics import Judged, ModelFigures
from linnet_train.training.phases import Phase

_BLUE, _ORANGE, _GREY = "#2b6ca3", "#e08a2e", "#9aa5b1"
_WIDE = 9.0  # inches
_MOST_NUMBERED = 20  # classes; with more, the numbers in the matrix are unreadable
_MOST_NAMED = 150  # class names along a side of the matrix; with more classes, every second or third is named
_WIDEST = 18.0  # inches, of the matrix
_MOST_LINES = 10  # classes in one plot; more colors cannot be told apart
_LONGEST_NAME = 24


def draw_curves(history: list[dict[str, Any]], phases: Sequence[Phase]) -> Figure:
    """Loss, top-1 and learning rate by epoch. Colored bands mark the phases: blue in float, orange in int8."""
    figure = Figure(figsize=(_WIDE, 5.2), layout="constrained")
    axes = figure.subplot_mosaic([["loss", "accuracy"], ["rate", "rate"]], height_ratios=[3, 1])
    epochs = np.arange(1, len(history) + 1)
    for key, label in (("loss", "loss"), ("accuracy", "top-1")):
        axes[key].plot(epochs, [row[key] for row in history], color=_BLUE, label="training")
        axes[key].plot(epochs, [row[f"val_{key}"] for row in history], color=_ORANGE, label="validation")
        axes[key].set(ylabel=label)
    axes["loss"].legend(frameon=False)
    lowest, highest = axes["accuracy"].get_ylim()
    axes["accuracy"].set_ylim(max(0.0, lowest), min(1.0, highest))
    axes["rate"].plot(epochs, [row["learning_rate"] for row in history], color="#444")
    axes["rate"].set(ylabel="learning rate", xlabel="epoch (rate at its end)", ylim=(0, None))
    axes["rate"].ticklabel_format(axis="y", scilimits=(-3, 3))
    handles = _mark_phases(list(axes.values()), history, phases)
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    return figure


def _mark_phases(all_axes: list[Axes], history: list[dict[str, Any]], phases: Sequence[Phase]) -> list[Patch]:
    numbers = [int(row["phase"]) for row in history]
    present = sorted(set(numbers))
    quantized = sum(phases[number].quantized for number in present)
    tints = [
        *mpl.colormaps["Blues"](0.04 + 0.06 * np.arange(len(present) - quantized)),
        *mpl.colormaps["Oranges"](0.05 + 0.08 * np.arange(quantized)),
    ]
    handles = []
    for number, tint in zip(present, tints, strict=True):  # the quantized phases come last
        first, last = numbers.index(number), len(numbers) - numbers[::-1].index(number)
        for axes in all_axes:
            axes.axvspan(first + 0.5, last + 0.5, color=tint, zorder=0, linewidth=0)
        handles.append(Patch(color=tint, label=phases[number].name))
    for axes in all_axes:
        _plain(axes)
        axes.set_xlim(0.5, len(numbers) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return handles


def draw_confusion(matrix: NDArray[np.int64], classes: tuple[str, ...], title: str) -> Figure:
    """The confusion matrix, int64 [true class, predicted class]. Color is the share of the true class."""
    n = len(classes)
    few = n <= _MOST_NUMBERED
    named = range(0, n, -(-n // _MOST_NAMED))
    names = [_short(classes[i]) for i in named]
    side = (max(3.0, 0.5 * n) if few else min(0.08 * n + 8, _WIDEST)) + 0.07 * max(map(len, names))
    figure = Figure(figsize=(side + 1.2, side + 0.4), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # The color follows the square root of the share, so that an error of 5 % is visible.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if few else {"rotation": 90}
    size = 9.0 if few else 6.0
    axes.set_xticks(named, names, fontsize=size, **slanted)
    axes.set_yticks(named, names, fontsize=size)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(title, fontsize="medium")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if few:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            color = "white" if shares[row, column] > 0.3 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color)
    bar = figure.colorbar(image, ax=axes, label="share of the true class", shrink=min(0.8, 4 / side), aspect=30)
    bar.outline.set_visible(False)
    return figure


def draw_precision_recall(judged: Judged, figures: ModelFigures) -> Figure:
    """Precision by recall, with a line for each class. With many classes the worst are colored and the others gray."""
    shown = sorted(
        (i for i, row in enumerate(figures.per_class) if row.support),
        key=lambda i: figures.per_class[i].average_precision or 0.0,
    )
    colored = sorted(shown[:_MOST_LINES])
    figure = Figure(figsize=(_WIDE, 4.6), layout="constrained")
    axes = figure.subplots()
    palette = mpl.colormaps["tab10"]
    for i in (*(i for i in shown if i not in colored), *colored):
        row = figures.per_class[i]
        precision, recall, _ = precision_recall_curve(judged.labels == i, judged.probability[:, i])
        style: dict[str, Any] = {"color": "#cfd6dd", "linewidth": 0.7}
        if i in colored:
            name = f"{row.average_precision:.3f}  {_short(row.name)}"
            style = {"color": palette(colored.index(i)), "linewidth": 1.6, "label": name}
        axes.step(recall, precision, where="post", **style)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    _plain(axes)
    which = f"\n({_MOST_LINES} worst of {len(shown)} classes)" if len(shown) > _MOST_LINES else ""
    figure.legend(loc="outside right upper", frameon=False, title=f"average precision{which}", alignment="left")
    return figure


def draw_reliability(judged: Judged) -> Figure:
    """Reliability diagrams: accuracy by predicted probability, before and after temperature scaling, and the number of
    photos in each bin below.
    """
    figure = Figure(figsize=(_WIDE, 4.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, height_ratios=[3, 1])
    for column, found, title in (
        (0, judged.before, "before temperature scaling"),
        (1, judged.after, f"logits divided by {judged.temperature:.3f}"),
    ):
        _draw_bins(axes[0, column], axes[1, column], found)
        axes[0, column].set_title(f"{title}: ECE {found.ece:.3f}", fontsize="medium")
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("photos")
    axes[0, 0].legend(frameon=False, loc="upper left")
    return figure


def _draw_bins(upper: Axes, lower: Axes, found: Reliability) -> None:
    edges = np.linspace(0, 1, len(found.count) + 1)
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1] * 0.92
    filled = found.count > 0
    left, right = middle[filled] - width / 2, middle[filled] + width / 2
    upper.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1, zorder=3)
    upper.bar(middle[filled], found.accuracy[filled], width, color=_BLUE, label="accuracy")
    upper.hlines(found.confidence[filled], left, right, color=_ORANGE, linewidth=3, zorder=4, label="mean probability")
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    lower.bar(middle, found.count, width, color=_GREY)
    lower.set(xlabel="probability of the predicted class")
    for axes in (upper, lower):
        _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(alpha=0.25)


def _short(name: str) -> str:
    """A class's name as a plot can show it: short, and with dollar signs that do not start a formula."""
    name = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    return name.replace("$", r"\$")
