"""Reasons to doubt a run's figures, and what could be improved, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from linnet_runtime.proof.intervals import PairedDifference, wilson_interval
from linnet_train.report.metrics import ModelFigures
from linnet_train.training.phases import Phase

_WIDEST = 0.05  # half the width of top-1's interval
_FEW = 20  # test photos per class; with fewer, recall is uncertain by more than 20 points
_WORST_RECALL = 0.5
_LARGEST_GAP = 0.1  # of top-1, between training and validation
_OVERSHOT = 1.1  # the last validation loss, as a multiple of the best one
_UNREADABLE_SHARE = 0.01
_LARGEST_ECE = 0.05
_FEW_TO_FIT = 50  # validation photos: a temperature from 50 has a standard error of a fifth
_NAMES = 6


@dataclass(frozen=True)
class Doubt:
    """A finding about a run, and what to do about it."""

    kind: str
    """A name for programs, such as "few_test_photos"."""
    level: Literal["warning", "note"]
    """"warning": do not trust the figures. "note": they can be trusted, and something can be improved."""
    what: str
    """What was found, with its figures: one sentence."""
    fix: str
    """What to do about it: one sentence."""


@dataclass(frozen=True)
class Evidence:
    """The figures of a run that the doubts are based on."""

    int8: ModelFigures
    """The int8 model on the test part."""
    difference: PairedDifference
    """Top-1 of int8 minus float on the same test photos."""
    validation_right: int
    """Validation photos that the int8 model classifies correctly."""
    validation_photos: int
    fitted: bool
    """Whether a temperature could be fitted on the validation photos."""
    photos: int
    """Photos that could be read, in all parts."""
    unreadable: int
    """Photos that could not be read."""
    copies: tuple[str, ...]
    """Test photos whose pixels are also in training or validation, by name."""
    history: list[dict[str, Any]]
    """A row for each epoch."""
    phases: Sequence[Phase]
    """The phases that the rows of ``history`` name by number."""


def doubts_about(evidence: Evidence) -> list[Doubt]:
    """All doubts that the evidence supports, warnings first."""
    parts = (_about_photos, _about_test, _about_training, _about_int8, _about_probabilities)
    return sorted((doubt for part in parts for doubt in part(evidence)), key=lambda doubt: doubt.level != "warning")


def _about_photos(evidence: Evidence) -> Iterator[Doubt]:
    if evidence.copies:
        yield Doubt(
            "copies",
            "warning",
            f"The pixels of {len(evidence.copies)} of {_count(evidence.int8.n, 'test photo')} are also in training or "
            f"validation: {_some(evidence.copies)}.",
            "Keep each photo in one part; linnet data check finds these copies and near copies.",
        )
    if evidence.unreadable > _UNREADABLE_SHARE * (evidence.photos + evidence.unreadable):
        yield Doubt(
            "unreadable",
            "warning",
            f"{evidence.unreadable} of {evidence.photos + evidence.unreadable} photos could not be read.",
            "Fetch them again or delete them; linnet data check reports what is wrong with each.",
        )


def _about_test(evidence: Evidence) -> Iterator[Doubt]:
    int8 = evidence.int8
    if (int8.top1_high - int8.top1_low) / 2 > _WIDEST:
        yield Doubt(
            "few_test_photos",
            "warning",
            f"With {_count(int8.n, 'test photo')}, the 95 % interval of top-1 is wide: {_percent(int8.top1_low)} to "
            f"{_percent(int8.top1_high)}.",
            "Add test photos (four times as many halve the interval), or cross-validate: linnet train --folds.",
        )
    if missing := [row.name for row in int8.per_class if not row.support]:
        yield Doubt(
            "untested_class",
            "warning",
            f"No test photos of {_some(missing)}.",
            "Add some: no figure here covers these classes.",
        )
    if few := [f"{row.name} ({row.support})" for row in int8.per_class if 0 < row.support < _FEW]:
        yield Doubt(
            "small_class",
            "warning",
            f"Fewer than {_FEW} test photos of {_some(few)}.",
            "Add photos: precision and recall of these classes are only approximate.",
        )
    largest = max(row.support for row in int8.per_class) / int8.n
    if int8.top1_low <= largest:
        yield Doubt(
            "no_better_than_guessing",
            "warning",
            f"Always predicting the most frequent class would be right for {_percent(largest)} of the test photos: not "
            "significantly worse than this model.",
            "Train longer, or check that the labels match the photos.",
        )
    low, high = wilson_interval(evidence.validation_right, evidence.validation_photos)
    if low > int8.top1_high or high < int8.top1_low:
        share = evidence.validation_right / evidence.validation_photos
        yield Doubt(
            "unlike_parts",
            "warning",
            f"Top-1 is {_percent(share)} on validation and {_percent(int8.top1)} on test photos: more than chance.",
            "The two parts differ: trust the one that is more similar to what the device will see.",
        )
    if poor := [row.name for row in int8.per_class if row.recall_high is not None and row.recall_high < _WORST_RECALL]:
        yield Doubt(
            "poor_class",
            "note",
            f"Recall is significantly below one half for {_some(poor)}.",
            "Check the confusion matrix and the mistakes: wrong labels, too few photos, or similar classes.",
        )


def _about_training(evidence: Evidence) -> Iterator[Doubt]:
    last = evidence.history[-1]
    if last["accuracy"] - last["val_accuracy"] > _LARGEST_GAP:
        yield Doubt(
            "overfitting",
            "note",
            f"At the end, top-1 was {_percent(last['accuracy'])} on training photos and "
            f"{_percent(last['val_accuracy'])} on validation photos.",
            "The network overfits: use more photos, stronger augmentation or a smaller network.",
        )
    floats = [phase for phase in evidence.phases if not phase.quantized]
    losses = [row["val_loss"] for row in evidence.history if row["phase"] < len(floats)]
    best = losses.index(min(losses))
    if losses[-1] > _OVERSHOT * losses[best] and floats[-1].patience is None:  # early stopping keeps the best weights
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
            f"(95 % interval {-100 * found.high:.1f} to {-100 * found.low:.1f}).",
            "Use more epochs of quantization-aware training, or another network of linnet models that quantizes fully.",
        )


def _about_probabilities(evidence: Evidence) -> Iterator[Doubt]:
    int8 = evidence.int8
    if not evidence.fitted:
        yield Doubt(
            "no_temperature",
            "warning",
            f"All {evidence.validation_photos} validation photos are classified correctly, so no temperature can be "
            "fitted; it stays at 1.",
            "Add validation photos, or harder ones, before you choose a threshold.",
        )
    elif evidence.validation_photos < _FEW_TO_FIT:
        yield Doubt(
            "rough_temperature",
            "warning",
            f"The temperature is fitted on only {_count(evidence.validation_photos, 'validation photo')}.",
            "Probabilities are only approximate: add validation photos before you choose a threshold.",
        )
    if int8.calibrated_ece > max(_LARGEST_ECE, 2 * int8.ece_by_chance):
        yield Doubt(
            "probabilities",
            "warning",
            f"The expected calibration error is {100 * int8.calibrated_ece:.1f} points; perfect probabilities would "
            f"have {100 * int8.ece_by_chance:.1f} by chance.",
            "Choose a threshold by testing it on your own photos, not by its value as a probability.",
        )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
