"""What a run's figures leave in doubt, and that nothing else is doubted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from linnet_runtime.proof.intervals import paired_difference
from linnet_train.report.doubts import Evidence, doubts_about
from linnet_train.report.metrics import Judged, ModelFigures, model_figures
from train.made_history import PHASES, history


def figures(right: int, wrong: int, classes: int = 4, sure: float = 3.0) -> ModelFigures:
    """Of as many photos of each class; each probability is what ``sure`` makes it."""
    labels = np.tile(np.arange(classes), right + wrong)
    called = labels.copy()
    called[: wrong * classes] = (labels[: wrong * classes] + 1) % classes
    return model_figures(
        Judged(np.eye(classes, dtype=np.float32)[called] * sure, labels, 1.0), tuple("abcdefgh"[:classes])
    )


def pairs(only_int8: int, only_float: int) -> Any:
    first = np.repeat([True, False, True, False], [only_int8, only_float, 400, 50])
    second = np.repeat([False, True, True, False], [only_int8, only_float, 400, 50])
    return paired_difference(first, second)


GOOD = Evidence(
    int8=figures(90, 10),
    difference=pairs(9, 9),
    validation_right=180,
    validation_photos=200,
    fitted=True,
    photos=2000,
    unreadable=2,
    copies=(),
    history=history(),
    phases=PHASES,
)
POOR_CLASS = replace(
    figures(90, 10), per_class=(replace(GOOD.int8.per_class[0], recall=0.3, recall_high=0.4), *GOOD.int8.per_class[1:])
)
UNTESTED = replace(
    figures(90, 10), per_class=(replace(GOOD.int8.per_class[0], support=0, recall_high=None), *GOOD.int8.per_class[1:])
)
DOUBTS = {
    "copies": ({"copies": ("a/1.jpg",)}, "warning"),
    "unreadable": ({"unreadable": 50}, "warning"),
    "few_test_photos": ({"int8": figures(21, 3)}, "warning"),
    "small_class": ({"int8": figures(18, 1, classes=8)}, "warning"),
    "untested_class": ({"int8": UNTESTED}, "warning"),
    "no_better_than_guessing": ({"int8": figures(100, 300, sure=0.0)}, "warning"),
    "unlike_parts": ({"validation_right": 120}, "warning"),
    "poor_class": ({"int8": POOR_CLASS}, "note"),
    "overfitting": ({"history": history(accuracy=0.95)}, "note"),
    "best_epoch_earlier": ({"history": history(val_losses=(0.5, 0.6))}, "note"),
    "int8_worse": ({"difference": pairs(5, 30)}, "note"),
    "no_temperature": ({"fitted": False}, "warning"),
    "rough_temperature": ({"validation_photos": 40, "validation_right": 36}, "warning"),
    "probabilities": ({"int8": figures(90, 10, sure=20.0)}, "warning"),
}


def test_good_figures_raise_no_doubt() -> None:
    assert doubts_about(GOOD) == []


def test_warnings_come_before_notes() -> None:
    all_changes = {name: value for changes, _ in DOUBTS.values() for name, value in changes.items()}
    levels = [doubt.level for doubt in doubts_about(replace(GOOD, **all_changes))]
    assert set(levels) == {"warning", "note"}
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("kind", DOUBTS)
def test_a_reason_for_doubt_is_named(kind: str) -> None:
    changes, level = DOUBTS[kind]
    found = {doubt.kind: doubt for doubt in doubts_about(replace(GOOD, **changes))}
    assert found[kind].level == level
    assert found[kind].what.endswith(".")
    assert found[kind].fix.endswith(".")


def test_where_the_best_weights_stayed_a_later_loss_is_no_reason_for_doubt() -> None:
    phases = [replace(PHASES[0], patience=3), PHASES[1]]
    assert doubts_about(replace(GOOD, history=history(val_losses=(0.5, 0.6)), phases=phases)) == []


def test_int8_that_is_worse_by_chance_is_no_reason_for_doubt() -> None:
    assert doubts_about(replace(GOOD, difference=pairs(8, 12))) == []
