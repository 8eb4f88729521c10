"""Reasons not to trust a run's figures, or not to be content with them, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from linnet_runtime.proof.intervals import PairedDifference, wilson_interval
from linnet_train.report.metrics import ModelFigures
from linnet_train.training.phases import Phase

_WIDEST = 0.05  # half of top-1's interval
_FEW = 20  # test photos of a class: its recall is known to about 20 points
_WORST_RECALL = 0.5
_LARGEST_GAP = 0.1  # of top-1, between training and validation
_OVERSHOT = 1.1  # the last validation loss, as a multiple of the best one
_UNREADABLE_SHARE = 0.01
_LARGEST_ECE = 0.05
_FEW_TO_FIT = 50  # validation photos: a temperature from 50 has a standard error of a fifth
_NAMES = 6


@dataclass(frozen=True)
class Doubt:
    """``what`` was found, with its figures, and what to do about it, ``fix``. A warning is a reason to distrust the
    figures, a note one not to be content with them.
    """

    kind: str
    level: Literal["warning", "note"]
    what: str
    fix: str


@dataclass(frozen=True)
class Evidence:
    """What is looked at. ``difference`` is int8 less float; ``copies`` are test photos that training has seen;
    ``fitted`` is whether validation could give a temperature; ``history`` has a row for each epoch.
    """

    int8: ModelFigures
    difference: PairedDifference
    validation_right: int
    validation_photos: int
    fitted: bool
    photos: int
    unreadable: int
    copies: tuple[str, ...]
    history: list[dict[str, Any]]
    phases: Sequence[Phase]


def doubts_about(evidence: Evidence) -> list[Doubt]:
    """All of them, warnings first."""
    parts = (_about_photos, _about_test, _about_training, _about_int8, _about_probabilities)
    return sorted((doubt for part in parts for doubt in part(evidence)), key=lambda doubt: doubt.level != "warning")


def _about_photos(evidence: Evidence) -> Iterator[Doubt]:
    if evidence.copies:
        yield Doubt(
            "copies",
            "warning",
            f"{_count(len(evidence.copies), 'test photo')} of {evidence.int8.n} can be found in training or validation "
            f"too, pixel by pixel: {_some(evidence.copies)}.",
            "linnet data check finds these and near copies; keep each picture in one part.",
        )
    if evidence.unreadable > _UNREADABLE_SHARE * (evidence.photos + evidence.unreadable):
        yield Doubt(
            "unreadable",
            "warning",
            f"{evidence.unreadable} of {evidence.photos + evidence.unreadable} photos could not be read.",
            "Fetch them again or delete them; linnet data check says what is wrong with each.",
        )


def _about_test(evidence: Evidence) -> Iterator[Doubt]:
    int8 = evidence.int8
    if (int8.top1_high - int8.top1_low) / 2 > _WIDEST:
        yield Doubt(
            "few_test_photos",
            "warning",
            f"{_count(int8.n, 'test photo')}: any true top-1 from {_percent(int8.top1_low)} to "
            f"{_percent(int8.top1_high)} goes with this result.",
            "More test photos, four times as many for half the interval, or cross-validation with --folds.",
        )
    if missing := [row.name for row in int8.per_class if not row.support]:
        yield Doubt(
            "untested_class", "warning", f"No test photo of {_some(missing)}.", "Nothing here is about these classes."
        )
    if few := [f"{row.name} ({row.support})" for row in int8.per_class if 0 < row.support < _FEW]:
        yield Doubt(
            "small_class",
            "warning",
            f"Fewer than {_FEW} test photos of {_some(few)}.",
            "Their precision and recall are only rough; add photos.",
        )
    largest = max(row.support for row in int8.per_class) / int8.n
    if int8.top1_low <= largest:
        yield Doubt(
            "no_better_than_guessing",
            "warning",
            f"Always saying the commonest class would be right in {_percent(largest)} of the test photos, within this "
            "result's interval.",
            "Train longer, or look whether the photos show what the labels say.",
        )
    low, high = wilson_interval(evidence.validation_right, evidence.validation_photos)
    if low > int8.top1_high or high < int8.top1_low:
        share = evidence.validation_right / evidence.validation_photos
        yield Doubt(
            "unlike_parts",
            "warning",
            f"Validation's top-1 is {_percent(share)}, the test part's {_percent(int8.top1)}: more than chance.",
            "The two parts are not alike; the one that is more like the device's pictures tells more.",
        )
    if poor := [row.name for row in int8.per_class if row.recall_high is not None and row.recall_high < _WORST_RECALL]:
        yield Doubt(
            "poor_class",
            "note",
            f"Most photos of {_some(poor)} are called something else, by more than chance.",
            "See the confusion matrix and the mistakes: labels, number of photos, or classes that look alike.",
        )


def _about_training(evidence: Evidence) -> Iterator[Doubt]:
    last = evidence.history[-1]
    if last["accuracy"] - last["val_accuracy"] > _LARGEST_GAP:
        yield Doubt(
            "overfitting",
            "note",
            f"At the end top-1 was {_percent(last['accuracy'])} on training photos and "
            f"{_percent(last['val_accuracy'])} on validation photos.",
            "The network knows its photos by heart: more photos, stronger augmentation, or a smaller network.",
        )
    floats = [phase for phase in evidence.phases if not phase.quantized]
    losses = [row["val_loss"] for row in evidence.history if row["phase"] < len(floats)]
    best = losses.index(min(losses))
    if losses[-1] > _OVERSHOT * losses[best] and floats[-1].patience is None:  # else the best weights stayed
        yield Doubt(
            "best_epoch_earlier",
            "note",
            f"Validation loss was lowest, {losses[best]:.3f}, after {_count(best + 1, 'epoch')} of {len(losses)}, and "
            f"ended at {losses[-1]:.3f}.",
            "Train for fewer epochs, or with early stopping.",
        )


def _about_int8(evidence: Evidence) -> Iterator[Doubt]:
    found = evidence.difference
    if found.high < 0:
        yield Doubt(
            "int8_worse",
            "note",
            f"int8 is {-100 * found.difference:.1f} points worse than float on the same photos "
            f"({-100 * found.high:.1f} to {-100 * found.low:.1f}): more than chance.",
            "More --qat-epochs, or another network; linnet models says which quantize well.",
        )


def _about_probabilities(evidence: Evidence) -> Iterator[Doubt]:
    int8 = evidence.int8
    if not evidence.fitted:
        yield Doubt(
            "no_temperature",
            "warning",
            f"All {evidence.validation_photos} validation photos are called right, so that they cannot say how sure is "
            "too sure; the temperature stays at 1.",
            "More validation photos, or harder ones, before a threshold is chosen.",
        )
    elif evidence.validation_photos < _FEW_TO_FIT:
        yield Doubt(
            "rough_temperature",
            "warning",
            f"The temperature rests on {_count(evidence.validation_photos, 'validation photo')}.",
            "Probabilities are only rough; more validation photos before a threshold is chosen.",
        )
    if int8.calibrated_ece > max(_LARGEST_ECE, 2 * int8.ece_by_chance):
        yield Doubt(
            "probabilities",
            "warning",
            f"Probabilities are off by {100 * int8.calibrated_ece:.1f} points in the mean, where "
            f"{100 * int8.ece_by_chance:.1f} would be chance.",
            "Choose thresholds by trying them on photos of your own, not by their meaning.",
        )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
