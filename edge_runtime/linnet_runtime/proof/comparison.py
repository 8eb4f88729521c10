"""A comparison of two models on the same photos, which shows whether one can replace the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits
from linnet_runtime.proof.intervals import PairedDifference, paired_difference, wilson_interval

_STEPS = 255  # the steps of an int8 output; a float output is measured in as many
_BINS = (0.01, 0.1, 0.5, 1, 2, 4, 8, 16, 32)  # upper ends of the bins, in steps; one more bin is open
_MOST_CLASSES = 10
_MOST_FLIPS = 100
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """A share of photos with its 95 % interval."""

    value: float
    """0..1."""
    low: float
    """The lower end of the 95 % interval; see ``wilson_interval``."""
    high: float
    """The upper end."""
    n: int
    """The number of photos."""

    @classmethod
    def of(cls, right: NDArray[np.bool_]) -> Share:
        """The share of true ones in bool [N]; N is at least 1."""
        return cls(float(right.mean()), *wilson_interval(int(right.sum()), len(right)), len(right))


@dataclass(frozen=True)
class LogitSteps:
    """The differences between two models' logits, in steps of the output.

    The percentiles and the maximum are taken over photos, of the largest difference among a photo's logits.
    """

    step: float
    """A step in logits; see ``output_step``."""
    mean: float
    """The mean difference over all logits, with its sign: a wrong bias moves it away from zero."""
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    bins: tuple[float, ...]
    """The upper ends of the histogram's bins; one more bin is open."""
    histogram: tuple[int, ...]
    """The number of photos in each bin."""


@dataclass(frozen=True)
class ClassRecall:
    """The recall of one class under both models."""

    label: str
    n: int
    """The number of photos of the class."""
    recall: float
    """The share of them that the model predicts correctly, 0..1."""
    reference_recall: float
    """The share of them that the reference predicts correctly, 0..1."""


@dataclass(frozen=True)
class Flip:
    """A photo whose top-1 differs between the two models."""

    photo: int
    """Its index."""
    label: str | None
    """Its true label; None where it is not known."""
    before: str
    """The label that the reference predicts."""
    after: str
    """The label that the model predicts."""
    margin: float
    """The reference's logit of ``before`` less its logit of ``after``, in steps."""


@dataclass(frozen=True)
class Comparison:
    """A model compared with a reference. What needs the true labels is None or empty without them."""

    reference: str
    """The name of the reference."""
    agreement: Share
    """The share of photos with the same top-1."""
    steps: LogitSteps
    flips: tuple[Flip, ...]
    """The photos whose top-1 differs, the largest margin first, at most 100."""
    accuracy: Share | None = None
    """The model's top-1 accuracy."""
    reference_accuracy: Share | None = None
    """The reference's top-1 accuracy."""
    difference: PairedDifference | None = None
    """The paired difference of the accuracies, the model's less the reference's."""
    classes: tuple[ClassRecall, ...] = ()
    """The classes whose recall is lower than the reference's, the largest loss first, at most ten."""


def output_step(logits: Logits, scale: float | None) -> float:
    """A step of an output in logits: its ``scale`` where it is quantized, else a 255th of these logits' range."""
    return scale if scale is not None else max(float(np.ptp(logits)) / _STEPS, float(np.finfo(np.float32).eps))


def compare(
    name: str,
    reference: Logits,
    logits: Logits,
    labels: Labels | None,
    class_names: tuple[str, ...],
    *,
    scale: float | None,
    photos: NDArray[np.intp] | None = None,
) -> Comparison:
    """Compares logits float32 [N, classes] with a reference's on the same photos.

    Args:
        name: the name of the reference.
        reference: the reference's logits, float32 [N, classes].
        logits: the model's logits, float32 [N, classes].
        labels: the true labels, int64 [N]; None where they are not known.
        class_names: the labels of the logits' last axis; without them no flips are listed.
        scale: the scale of the model's output; None where it is float.
        photos: the index of each photo, [N], for ``Flip.photo``; None for 0 to N - 1.
    """
    step = output_step(reference, scale)
    before, after = reference.argmax(axis=1), logits.argmax(axis=1)
    names = np.arange(len(logits)) if photos is None else photos
    flips = _flips(reference, before, after, labels, class_names, names, step) if class_names else ()
    agreement, steps = Share.of(before == after), _logit_steps(logits - reference, step)
    if labels is None:
        return Comparison(name, agreement, steps, flips)
    right, reference_right = after == labels, before == labels
    return Comparison(
        reference=name,
        agreement=agreement,
        steps=steps,
        flips=flips,
        accuracy=Share.of(right),
        reference_accuracy=Share.of(reference_right),
        difference=paired_difference(right, reference_right),
        classes=_classes_that_lose(right, reference_right, labels, class_names),
    )


def _flips(
    reference: Logits,
    before: NDArray[np.intp],
    after: NDArray[np.intp],
    labels: Labels | None,
    class_names: tuple[str, ...],
    photos: NDArray[np.intp],
    step: float,
) -> tuple[Flip, ...]:
    flips = [
        Flip(
            photo=int(photos[i]),
            label=None if labels is None else class_names[labels[i]],
            before=class_names[before[i]],
            after=class_names[after[i]],
            margin=float(reference[i, before[i]] - reference[i, after[i]]) / step,
        )
        for i in np.flatnonzero(before != after)
    ]
    return tuple(sorted(flips, key=lambda flip: -flip.margin)[:_MOST_FLIPS])


def _logit_steps(difference: Logits, step: float) -> LogitSteps:
    largest = np.abs(difference).max(axis=1).astype(np.float64) / step
    p50, p90, p95, p99 = np.percentile(largest, (50, 90, 95, 99))
    counts = np.bincount(np.searchsorted(_BINS, largest, side="right"), minlength=len(_BINS) + 1)
    return LogitSteps(
        step=step,
        mean=float(difference.mean(dtype=np.float64)) / step,
        p50=float(p50),
        p90=float(p90),
        p95=float(p95),
        p99=float(p99),
        max=float(largest.max()),
        bins=_BINS,
        histogram=tuple(int(count) for count in counts),
    )


def _classes_that_lose(
    right: NDArray[np.bool_], reference_right: NDArray[np.bool_], labels: Labels, class_names: tuple[str, ...]
) -> tuple[ClassRecall, ...]:
    found = []
    for i in np.unique(labels):
        of_class = labels == i
        recall, reference_recall = float(right[of_class].mean()), float(reference_right[of_class].mean())
        if recall < reference_recall:
            found.append(ClassRecall(class_names[i], int(of_class.sum()), recall, reference_recall))
    return tuple(sorted(found, key=lambda row: row.recall - row.reference_recall)[:_MOST_CLASSES])
