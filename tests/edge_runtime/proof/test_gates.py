"""The gates of parity: by how much a model may differ from its original."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.proof.known_logits import NAMES, one_hot
from linnet_devices.api import Logits
from linnet_runtime.proof.comparison import compare
from linnet_runtime.proof.gates import gate_words, shortcomings


def with_agreement(equal: int, n: int) -> tuple[Logits, Logits, NDArray[np.int64]]:
    """A reference, logits that agree with it on ``equal`` of ``n``, and labels that the reference has right."""
    reference = one_hot([0] * n)
    return reference, one_hot([0] * equal + [1] * (n - equal)), np.zeros(n, np.int64)


@pytest.mark.parametrize(
    ("equal", "n", "precision", "passes"),
    [
        (1000, 1000, "int8", True),
        (965, 1000, "int8", True),  # its interval reaches 0.974
        (950, 1000, "int8", False),  # and this one's 0.962
        (965, 1000, "float32", False),  # float engines differ in the last bits only
        (965, 1000, "float16", False),
        (990, 1000, "float32", True),
        (27, 28, "int8", True),  # few photos prove little, and refute little
        (20, 28, "int8", False),
    ],
)
def test_parity_passes_where_the_agreements_interval_reaches_the_precisions_least(
    equal: int, n: int, precision: str, passes: bool
) -> None:
    reference, logits, labels = with_agreement(equal, n)
    missed = shortcomings(compare("keras", reference, logits, labels, NAMES, scale=1.0), precision)
    assert any(words.startswith("agrees on") for words in missed) is not passes


@pytest.mark.parametrize(
    ("precision", "steps", "passes"),
    [("int8", 32, True), ("int8", 33, False), ("float16", 9, False), ("float32", 1, True), ("float32", 1.5, False)],
)
def test_logits_that_are_off_fail_where_every_label_is_right(precision: str, steps: float, passes: bool) -> None:
    reference = one_hot([0, 1, 2] * 30) * np.float32(128)
    found = compare("keras", reference, reference + np.float32(steps), None, NAMES, scale=1.0)
    assert found.agreement.value == 1
    assert bool(shortcomings(found, precision)) is not passes


def test_one_photo_in_twenty_may_be_far_off() -> None:
    reference = one_hot([0, 1] * 50) * np.float32(128)
    logits = reference.copy()
    logits[:4] += 60
    assert not shortcomings(compare("keras", reference, logits, None, NAMES, scale=1.0), "int8")
    logits[4:7] += 60
    assert shortcomings(compare("keras", reference, logits, None, NAMES, scale=1.0), "int8")


@pytest.mark.parametrize(
    ("wrong", "n", "max_drop", "passes"),
    [
        (0, 1000, 1.0, True),
        (0, 100, 1.0, False),  # too few to show it
        (0, 100, 5.0, True),
        (20, 1000, 1.0, False),
        (20, 1000, 4.0, True),
        (20, 1000, None, True),  # no gate unless it is asked for
    ],
)
def test_a_drop_passes_where_the_lower_end_of_its_interval_is_above_it(
    wrong: int, n: int, max_drop: float | None, passes: bool
) -> None:
    labels = np.zeros(n, np.int64)
    reference, logits = one_hot([0] * n), one_hot([1] * wrong + [0] * (n - wrong))
    found = compare("keras", reference, logits, labels, NAMES, scale=1.0)
    missed = [words for words in shortcomings(found, "int8", max_drop) if words.startswith("changes accuracy")]
    assert bool(missed) is not passes


def test_a_drop_needs_labels() -> None:
    found = compare("keras", one_hot([0]), one_hot([0]), None, NAMES, scale=1.0)
    assert shortcomings(found, "int8", 1.0) == ("has no accuracy to compare: the photos have no labels",)


def test_the_gate_is_stated_in_words() -> None:
    assert "reaches 0.97 in int8, 0.99 in float16" in gate_words()
    assert "at most 32 in int8, 8 in float16, 1 in float32 steps" in gate_words()
    assert "above -1.5 points" in gate_words(1.5)
    assert "points" not in gate_words()
