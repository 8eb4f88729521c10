"""Two models compared on the same photos: agreement, accuracy, steps, flips."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.proof.known_logits import NAMES, one_hot
from linnet_runtime.proof.comparison import compare
from linnet_runtime.proof.gates import parity_of
from linnet_runtime.proof.report import Compared, ParityReport, compare_pairs


def test_a_comparison_counts_equal_top1_and_each_models_accuracy() -> None:
    reference, logits = one_hot([0, 1, 2, 2]), one_hot([0, 1, 2, 0]) * np.float32(1.5)
    found = compare("keras", reference, logits, np.array([0, 1, 0, 0]), NAMES, scale=0.25)
    assert (found.reference, found.agreement.n, found.agreement.value) == ("keras", 4, 0.75)
    assert found.accuracy is not None
    assert found.reference_accuracy is not None
    assert found.difference is not None
    assert (found.accuracy.value, found.reference_accuracy.value) == (0.75, 0.5)
    assert (found.difference.only_first, found.difference.only_second, found.difference.p_value) == (1, 0, 1.0)
    assert 0 < found.agreement.low < 0.75 < found.agreement.high < 1
    assert (found.steps.step, found.steps.max) == (0.25, 6.0)
    assert found.classes == (), "none lost"
    parity = parity_of(found)
    assert (parity.reference, parity.n, parity.agreement, parity.max_abs_logit_diff) == ("keras", 4, 0.75, 1.5)
    assert (parity.accuracy, parity.reference_accuracy) == (0.75, 0.5)


def test_photos_that_flip_come_with_their_margin_the_clearest_first() -> None:
    reference = np.array([[4, 0, 0], [1, 0, 0], [0, 2, 0]], np.float32)
    logits = np.array([[0, 4, 0], [0, 0, 4], [0, 2, 0]], np.float32)
    found = compare("keras", reference, logits, np.array([0, 2, 1]), NAMES, scale=0.5, photos=np.array([7, 8, 9]))
    assert [(flip.photo, flip.label, flip.before, flip.after, flip.margin) for flip in found.flips] == [
        (7, "bolt", "bolt", "nut", 8.0),
        (8, "washer", "bolt", "washer", 2.0),
    ]
    assert [(row.label, row.recall, row.reference_recall) for row in found.classes] == [("bolt", 0.0, 1.0)]


def test_without_labels_there_is_an_agreement_and_no_accuracy() -> None:
    found = compare("keras", one_hot([0, 1]), one_hot([0, 2]), None, NAMES, scale=None)
    assert (found.agreement.value, found.accuracy, found.difference, found.classes) == (0.5, None, None, ())
    assert found.flips[0].label is None
    assert found.steps.step == pytest.approx(1 / 255), "of a float output, a 255th of its range"


def test_photos_are_counted_by_the_largest_difference_of_their_logits() -> None:
    reference = np.zeros((4, 3), np.float32)
    logits = np.array([[0, 0, 0], [0, -1.5, 0], [3, 3, 3], [0, 0, 40]], np.float32)
    steps = compare("keras", reference, logits, None, NAMES, scale=1.0).steps
    counted = dict(zip((0, *steps.bins), steps.histogram, strict=True))
    assert {low: count for low, count in counted.items() if count} == {0: 1, 1: 1, 2: 1, 32: 1}
    assert steps.mean == pytest.approx((-1.5 + 9 + 40) / 12)


def test_every_two_models_are_compared() -> None:
    logits = {"a": (one_hot([0, 1]), 0.5), "b": (one_hot([0, 2]), None), "c": (one_hot([0, 1]), None)}
    pairs = compare_pairs(logits)
    assert [(pair.first, pair.second, pair.agreement.value) for pair in pairs] == [
        ("a", "b", 0.5),
        ("a", "c", 1.0),
        ("b", "c", 0.5),
    ]
    assert pairs[0].steps.max == 2.0, "in steps of the quantised one"


def test_a_report_fails_with_one_of_its_rows() -> None:
    good, bad = Compared("a", "int8", "cpu:litert", None), Compared("b", "int8", "cpu:onnx", None, ("agrees on none",))
    assert ParityReport("x", 2, "", (good,), ()).passed
    assert not ParityReport("x", 2, "", (good, bad), ()).passed
