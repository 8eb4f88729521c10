"""Intervals, latency summaries and labels from logits."""

from __future__ import annotations

import numpy as np
import pytest

from linnet_runtime.decision import probabilities, top_classes
from linnet_runtime.statistics import latency_summary, wilson_interval


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


def test_latencies_are_summed_up_in_milliseconds() -> None:
    seconds = np.random.default_rng(0).permutation(np.arange(1, 102)) / 1e3
    summary = latency_summary(seconds)
    expected = {"mean": 51.0, "p50": 51.0, "p90": 91.0, "p99": 100.0, "min": 1.0, "max": 101.0}
    assert summary == pytest.approx(expected)


def test_one_latency_is_all_of_its_percentiles() -> None:
    assert set(latency_summary(np.array([0.002])).values()) == {2.0}


def test_probabilities_are_the_softmax_of_the_logits_over_the_temperature() -> None:
    logits = np.log(np.array([[1, 3, 4], [4, 2, 2]], np.float32))
    assert probabilities(logits, 1.0) == pytest.approx(np.array([[0.125, 0.375, 0.5], [0.5, 0.25, 0.25]]))
    squared = np.array([[1, 9, 16], [16, 4, 4]])
    assert probabilities(logits, 0.5) == pytest.approx(squared / squared.sum(axis=1, keepdims=True))
    assert probabilities(logits, 1.0).dtype == np.float32


def test_large_logits_do_not_overflow() -> None:
    assert probabilities(np.array([1e4, 0, -1e4], np.float32), 1.0).tolist() == [1.0, 0.0, 0.0]


def test_the_best_five_come_best_first_and_equal_ones_in_the_order_of_the_labels() -> None:
    probability = np.array([0.1, 0.3, 0.1, 0.25, 0.15, 0.05, 0.05], np.float32)
    top = top_classes(probability, tuple("abcdefg"))
    assert [label for label, _ in top] == ["b", "d", "e", "a", "c"]
    assert top[0][1] == pytest.approx(0.3)
    assert top_classes(np.array([0.5, 0.5], np.float32), ("x", "y")) == (("x", 0.5), ("y", 0.5))
