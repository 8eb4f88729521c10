"""Two models on the same photos, in every way that says whether one may take the place of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits
from linnet_runtime.proof.intervals import PairedDifference, paired_difference, wilson_interval

_STEPS = 255  # of an int8 output's range; a float output is measured in as many
_BINS = (0.01, 0.1, 0.5, 1, 2, 4, 8, 16, 32)  # ends of the histogram's, in steps; the last is open
_MOST_CLASSES = 10
_MOST_FLIPS = 100
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """A share of ``n`` photos with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, right: NDArray[np.bool_]) -> Share:
        """The share of true ones in bool [N]; N is at least 1."""
        return cls(float(right.mean()), *wilson_interval(int(right.sum()), len(right)), len(right))


@dataclass(frozen=True)
class LogitSteps:
    """How far logits are apart, in steps of the output: ``step`` is one of them in logits.

    The percentiles are of each photo's largest difference over its classes; ``mean`` is signed, over all logits, and
    not near zero where a bias is wrong. ``histogram`` counts photos by their largest difference, between the ``bins``
    and beyond the last.
    """

    step: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    bins: tuple[float, ...]
    histogram: tuple[int, ...]


@dataclass(frozen=True)
class ClassRecall:
    """The share of a class's ``n`` photos that each model gets right."""

    label: str
    n: int
    recall: float
    reference_recall: float


@dataclass(frozen=True)
class Flip:
    """A photo, by its index, whose top-1 changed from ``before`` to ``after``; ``margin`` is how far the reference's
    best logit was above the one that won, in steps. ``label`` is the true one, where it is known.
    """

    photo: int
    label: str | None
    before: str
    after: str
    margin: float


@dataclass(frozen=True)
class Comparison:
    """A model against the reference that it should equal. ``flips`` are the photos whose top-1 changed, the clearest
    first, a hundred at most.

    ``accuracy``, ``difference`` (this model's less the reference's, with McNemar's exact p-value) and ``classes``
    (those that lose most of their recall first, and none that lose nothing) need the true labels.
    """

    reference: str
    agreement: Share
    steps: LogitSteps
    flips: tuple[Flip, ...]
    accuracy: Share | None = None
    reference_accuracy: Share | None = None
    difference: PairedDifference | None = None
    classes: tuple[ClassRecall, ...] = ()


def output_step(logits: Logits, scale: float | None) -> float:
    """A step of an output: its ``scale`` where it is quantised, else what int8 would need for these logits' range."""
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
        name: of the reference.
        reference: its logits, float32 [N, classes].
        logits: the model's.
        labels: the true ones, int64 [N], where they are known.
        class_names: of the logits' last axis; without them no photo is named.
        scale: of the model's output, where it is quantised.
        photos: the indices of the photos, [N], by which flips name them; 0 to N - 1 where it is left out.
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
        classes=_suffering(right, reference_right, labels, class_names),
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


def _suffering(
    right: NDArray[np.bool_], reference_right: NDArray[np.bool_], labels: Labels, class_names: tuple[str, ...]
) -> tuple[ClassRecall, ...]:
    found = []
    for i in np.unique(labels):
        of_class = labels == i
        recall, reference_recall = float(right[of_class].mean()), float(reference_right[of_class].mean())
        if recall < reference_recall:
            found.append(ClassRecall(class_names[i], int(of_class.sum()), recall, reference_recall))
    return tuple(sorted(found, key=lambda row: row.recall - row.reference_recall)[:_MOST_CLASSES])
