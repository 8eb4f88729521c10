"""How good a model is on the test part: as a whole, and class by class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

from linnet_devices.api import Logits
from linnet_runtime.decision import probabilities
from linnet_runtime.proof.intervals import wilson_interval
from linnet_runtime.run_files import ModelMetrics
from linnet_train.report.calibration import Labels, Reliability, ece_by_chance, reliability

_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class ClassFigures:
    """One class: ``support`` photos are of it, ``called`` photos were called it.

    ``recall`` has its 95 % interval. None is what no photo says: the precision of a class that was never called, and
    all but that of a class without photos.
    """

    name: str
    support: int
    called: int
    precision: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    f1: float | None
    average_precision: float | None


@dataclass(frozen=True)
class ModelFigures:
    """One model on ``n`` photos.

    Cross-entropy and ``ece`` are of its own probabilities, the ``calibrated_`` ones after the temperature; the means
    are over the classes that have photos.
    """

    n: int
    top1: float
    top1_low: float
    top1_high: float
    top5: float
    macro_f1: float
    mean_average_precision: float
    temperature: float
    cross_entropy: float
    calibrated_cross_entropy: float
    ece: float
    calibrated_ece: float
    ece_by_chance: float
    per_class: tuple[ClassFigures, ...]
    confusion: NDArray[np.int64]
    """[classes, classes]: how often row's class was called column's."""


@dataclass(frozen=True)
class Judged:
    """A model's logits float32 [N, classes] on photos with labels int64 [N], and the temperature that goes with it."""

    logits: Logits
    labels: Labels
    temperature: float

    @cached_property
    def called(self) -> Labels:
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
    """Top-1, top-5, cross-entropy and each class's recall of logits float32 [N, classes] against int64 [N]."""
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
    """All figures of a model on at least one photo."""
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
    """The mistakes that a confusion matrix has more than once, the most frequent first, at most ``most`` of them, as
    (class, called, photos).
    """
    wrong = confusion * (1 - np.eye(len(confusion), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(i), len(confusion)) for i in order]
    return [(is_, called, int(wrong[is_, called])) for is_, called in pairs if wrong[is_, called] > 1]
