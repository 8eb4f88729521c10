"""The figures of a model on the test part, in total and for each class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

from linnet_devices.api import Logits
from linnet_runtime.probabilities import probabilities
from linnet_runtime.proof.intervals import wilson_interval
from linnet_runtime.run_files import ModelMetrics
from linnet_train.report.calibration import Labels, Reliability, ece_by_chance, reliability

_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class. A figure is None where no photo determines it."""

    name: str
    """The label."""
    support: int
    """The photos whose true class it is."""
    called: int
    """The photos whose predicted class it is."""
    precision: float | None
    """None for a class that is never predicted."""
    recall: float | None
    """None, as are the figures below, for a class without photos."""
    recall_low: float | None
    """The lower end of the 95 % interval of the recall."""
    recall_high: float | None
    """The upper end."""
    f1: float | None
    """The harmonic mean of precision and recall."""
    average_precision: float | None
    """The area under the precision-recall curve."""


@dataclass(frozen=True)
class ModelFigures:
    """The figures of one model. Means are over the classes that have photos."""

    n: int
    """The number of photos."""
    top1: float
    """The share of photos whose most probable class is the true one."""
    top1_low: float
    """The lower end of its 95 % interval."""
    top1_high: float
    """The upper end."""
    top5: float
    """The share of photos whose true class is among the five most probable."""
    macro_f1: float
    """The mean F1 of the classes."""
    mean_average_precision: float
    """The mean average precision of the classes."""
    temperature: float
    """The temperature, fitted on the validation part."""
    cross_entropy: float
    """Without the temperature, in nats."""
    calibrated_cross_entropy: float
    """With the temperature."""
    ece: float
    """The expected calibration error without the temperature."""
    calibrated_ece: float
    """With the temperature."""
    ece_by_chance: float
    """The expected calibration error that perfect probabilities would have by chance."""
    per_class: tuple[ClassFigures, ...]
    """In the order of the labels."""
    confusion: NDArray[np.int64]
    """int64 [true class, predicted class]: the number of photos."""


@dataclass(frozen=True)
class Judged:
    """A model's predictions on labelled photos."""

    logits: Logits
    """float32 [N, classes]."""
    labels: Labels
    """int64 [N]."""
    temperature: float
    """The divisor of the logits before the softmax."""

    @cached_property
    def called(self) -> Labels:
        """The predicted classes, int64 [N]."""
        return self.logits.argmax(axis=1)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        return self.called == self.labels

    @cached_property
    def probability(self) -> Logits:
        return probabilities(self.logits, self.temperature)

    @cached_property
    def before(self) -> Reliability:
        return reliability(probabilities(self.logits, 1.0), self.labels)

    @cached_property
    def after(self) -> Reliability:
        return reliability(self.probability, self.labels)


def classification_metrics(logits: Logits, labels: Labels, classes: tuple[str, ...]) -> ModelMetrics:
    """Top-1, top-5, cross-entropy and recall by class, for logits float32 [N, classes] and labels int64 [N]."""
    best_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    correct = best_five == labels[:, None]
    return ModelMetrics(
        top1=float(correct[:, 0].mean()),
        top5=float(correct.any(axis=1).mean()),
        cross_entropy=_cross_entropy(probabilities(logits, 1.0), labels),
        recall={name: float(correct[labels == i, 0].mean()) for i, name in enumerate(classes) if (labels == i).any()},
        n=len(labels),
    )


def _cross_entropy(probability: Logits, labels: Labels) -> float:
    of_label = probability[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_label, _SMALLEST_PROBABILITY)).mean())


def model_figures(judged: Judged, classes: tuple[str, ...]) -> ModelFigures:
    """All figures of a model; it needs at least one photo."""
    labels, probability = judged.labels, judged.probability
    whole = classification_metrics(judged.logits, labels, classes)
    low, high = wilson_interval(int(judged.right.sum()), len(labels))
    per_class = _per_class(judged, classes)
    return ModelFigures(
        n=len(labels),
        top1=whole.top1,
        top1_low=low,
        top1_high=high,
        top5=whole.top5,
        macro_f1=_mean(row.f1 for row in per_class if row.support),
        mean_average_precision=_mean(row.average_precision for row in per_class if row.support),
        temperature=judged.temperature,
        cross_entropy=whole.cross_entropy,
        calibrated_cross_entropy=_cross_entropy(probability, labels),
        ece=judged.before.ece,
        calibrated_ece=judged.after.ece,
        ece_by_chance=ece_by_chance(probability),
        per_class=per_class,
        confusion=confusion_matrix(labels, judged.called, labels=range(len(classes))),
    )


def _per_class(judged: Judged, classes: tuple[str, ...]) -> tuple[ClassFigures, ...]:
    labels, probability = judged.labels, judged.probability
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, judged.called, labels=range(len(classes)), zero_division=np.nan
    )
    called = np.bincount(judged.called, minlength=len(classes))
    rows = []
    for i, name in enumerate(classes):
        n = int(support[i])
        low, high = wilson_interval(round(recall[i] * n), n) if n else (None, None)
        rows.append(
            ClassFigures(
                name=name,
                support=n,
                called=int(called[i]),
                precision=_known(precision[i]),
                recall=_known(recall[i]),
                recall_low=low,
                recall_high=high,
                f1=_known(f1[i]) if n else None,
                average_precision=float(average_precision_score(labels == i, probability[:, i])) if n else None,
            )
        )
    return tuple(rows)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean(values: Iterable[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def common_confusions(confusion: NDArray[np.int64], most: int) -> list[tuple[int, int, int]]:
    """Up to ``most`` confusions that occur more than once, the most frequent first, as (true class, predicted class,
    photos).
    """
    wrong = confusion * (1 - np.eye(len(confusion), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(i), len(confusion)) for i in order]
    return [(true, called, int(wrong[true, called])) for true, called in pairs if wrong[true, called] > 1]
