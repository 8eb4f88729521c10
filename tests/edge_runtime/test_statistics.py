"""Intervals and labels from logits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from linnet_runtime.probabilities import probabilities, top_classes
from linnet_runtime.proof.intervals import mcnemar, paired_difference, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998),
        # table I, method 3 (the score method, which is Wilson's).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_wilson_interval_is_the_published_one(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson_interval(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_the_wilson_interval_of_all_or_nothing_ends_exactly_at_its_share() -> None:
    assert wilson_interval(0, 7)[0] == 0.0
    assert wilson_interval(7, 7)[1] == 1.0


def test_the_wilson_interval_of_nothing_is_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def paired(both: int, only_first: int, only_second: int, neither: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who was right, of the four counts."""
    counts = (both, only_first, only_second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_a_paired_difference_is_the_published_one() -> None:
    """M. W. Fagerland, S. Lydersen and P. Laake, "Recommended tests and confidence intervals for paired binomial
    proportions", Statistics in Medicine 33 (2014): airway hyper-responsiveness in 21 children.
    """
    found = paired_difference(*paired(1, 1, 7, 12))
    assert (found.n, found.only_first, found.only_second) == (21, 1, 7)
    assert found.difference == pytest.approx(-0.286, abs=5e-4)
    assert (found.low, found.high) == pytest.approx((-0.507, -0.026), abs=5e-4)
    assert found.p_value == pytest.approx(0.0703, abs=5e-5)


def test_a_paired_difference_the_other_way_round_changes_its_sign_only() -> None:
    first, second = paired(440, 4, 9, 52)
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert (other.difference, other.low, other.high) == pytest.approx((-one.difference, -one.high, -one.low))
    assert other.p_value == one.p_value


def test_the_interval_of_a_paired_difference_holds_the_true_one_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(0)
    truth = 0.04 - 0.02
    counts = rng.multinomial(500, [0.84, 0.04, 0.02, 0.10], size=2000)
    intervals = [paired_difference(*paired(*row)) for row in counts.tolist()]
    covered = np.mean([found.low <= truth <= found.high for found in intervals])
    assert 0.93 <= covered <= 0.97


def test_models_that_never_differ_are_not_known_to_be_equal() -> None:
    found = paired_difference(*paired(450, 0, 0, 50))
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert -0.01 < found.low < 0 < found.high < 0.01


def test_a_paired_difference_of_nothing_is_anything() -> None:
    found = paired_difference(*paired(0, 0, 0, 0))
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, -1.0, 1.0, 1.0)


@pytest.mark.parametrize("counts", [(0, 0), (0, 5), (3, 3), (4, 9), (40, 70), (4000, 4300)])
def test_mcnemar_s_p_value_is_the_binomial_test_s(counts: tuple[int, int]) -> None:
    expected = binomtest(counts[0], sum(counts)).pvalue if sum(counts) else 1.0
    assert mcnemar(*counts) == pytest.approx(expected, rel=1e-6)


def test_probabilities_are_the_softmax_of_the_logits_over_the_temperature() -> None:
    logits = np.log(np.array([[1, 3, 4], [4, 2, 2]], np.float32))
    assert probabilities(logits, 1.0) == pytest.approx(np.array([[0.125, 0.375, 0.5], [0.5, 0.25, 0.25]]))
    squared = np.array([[1, 9, 16], [16, 4, 4]])
    assert probabilities(logits, 0.5) == pytest.approx(squared / squared.sum(axis=1, keepdims=True))
    assert probabilities(logits, 1.0).dtype == np.float32


def test_independent_probabilities_are_the_sigmoid_of_each_logit_over_the_temperature() -> None:
    logits = np.log(np.array([[1, 3, 9]], np.float32))
    assert probabilities(logits, 1.0, independent=True) == pytest.approx(np.array([[1 / 2, 3 / 4, 9 / 10]]))
    assert probabilities(logits, 0.5, independent=True) == pytest.approx(np.array([[1 / 2, 9 / 10, 81 / 82]]))
    assert probabilities(logits, 1.0, independent=True).dtype == np.float32


def test_large_logits_do_not_overflow() -> None:
    large = np.array([1e4, 0, -1e4], np.float32)
    assert probabilities(large, 1.0).tolist() == [1.0, 0.0, 0.0]
    assert probabilities(large, 1.0, independent=True).tolist() == [1.0, 0.5, 0.0]


def test_the_best_five_come_best_first_and_equal_ones_in_the_order_of_the_labels() -> None:
    probability = np.array([0.1, 0.3, 0.1, 0.25, 0.15, 0.05, 0.05], np.float32)
    top = top_classes(probability, tuple("abcdefg"))
    assert [label for label, _ in top] == ["b", "d", "e", "a", "c"]
    assert top[0][1] == pytest.approx(0.3)
    assert top_classes(np.array([0.5, 0.5], np.float32), ("x", "y")) == (("x", 0.5), ("y", 0.5))
