"""The statistics of latencies, and how long a measurement lasts."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_runtime.bench.latency import is_steady, latency_intervals, latency_summary
from linnet_runtime.bench.timing import Profile, time_runs


def test_latencies_are_summed_up_in_milliseconds() -> None:
    seconds = np.random.default_rng(0).permutation(np.arange(1, 1002)) / 1e3
    summary = latency_summary(seconds)
    assert summary.mean == pytest.approx(501)
    found = [summary.min, summary.p50, summary.p90, summary.p95, summary.p99, summary.p999, summary.max]
    assert found == pytest.approx([1, 501, 901, 951, 991, 1000, 1001])
    assert summary.std == pytest.approx(np.arange(1, 1002).std())


def test_the_largest_latency_is_not_clipped() -> None:
    assert latency_summary(np.array([0.001] * 9999 + [9.0])).max == 9000


def test_one_latency_is_all_of_its_percentiles() -> None:
    summary = latency_summary(np.array([0.002]))
    assert (summary.min, summary.p50, summary.p999, summary.max, summary.std) == (2, 2, 2, 2, 0)


def autocorrelated(rng: np.random.Generator, n: int, correlation: float) -> NDArray[np.float64]:
    """Latencies whose logarithms are an AR(1) process: the median is 1 ms, the standard deviation 10 %."""
    steps = rng.normal(0, np.sqrt(1 - correlation**2), n)
    steps[0] = rng.normal()
    for i in range(1, n):
        steps[i] += correlation * steps[i - 1]
    return np.exp(0.1 * steps) / 1e3


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_intervals_hold_the_true_percentiles_nineteen_times_in_twenty(correlation: float) -> None:
    """Drawing single latencies of the correlated ones would hold them in about half of the measurements."""
    rng = np.random.default_rng(3)
    true = {"p50": 1.0, "p90": np.exp(0.1 * NormalDist().inv_cdf(0.9))}
    held = []
    for _ in range(40):
        intervals = latency_intervals(autocorrelated(rng, 2000, correlation))
        held += [intervals[key].low <= value <= intervals[key].high for key, value in true.items()]
    assert 0.87 <= np.mean(held) <= 1.0


def test_the_same_latencies_have_the_same_intervals() -> None:
    seconds = autocorrelated(np.random.default_rng(0), 500, 0.5)
    assert latency_intervals(seconds) == latency_intervals(seconds)


@pytest.mark.parametrize(
    ("p90", "steady"),
    [
        ([], False),
        ([1.0, 1.0], False),  # two windows agree by chance
        ([5.0, 1.0, 1.04, 0.96], True),  # the first one does not count
        ([1.0, 1.0, 1.06], False),
        ([1.2, 1.1, 1.0], False),  # it still falls
    ],
)
def test_a_measurement_is_steady_where_the_last_three_windows_agree(p90: list[float], steady: bool) -> None:
    assert is_steady(p90) == steady


FEW = Profile("test", warm_up_s=0, seconds=0, runs=100, limit=2.0)


def test_a_steady_measurement_ends_with_the_fewest_inferences() -> None:
    timed = time_runs(lambda _: 0.001, FEW)
    assert (len(timed.seconds), timed.steady) == (100, True)
    assert [window.runs for window in timed.windows] == [10] * 10
    assert {window.p90 for window in timed.windows} == {1.0}


def test_a_measurement_goes_on_until_it_is_steady() -> None:
    timed = time_runs(lambda i: 0.001 if i >= 120 else 0.001 * 2**i, Profile("test", 0, 0, runs=100, limit=1e9))
    assert (len(timed.seconds), timed.steady) == (150, True)


def test_a_measurement_that_is_never_steady_ends_at_its_limit_and_keeps_every_latency() -> None:
    def swinging(i: int) -> float:
        return i + 1e6 * (i // 10 % 2)

    timed = time_runs(swinging, FEW)
    assert not timed.steady
    assert len(timed.seconds) >= 100
    np.testing.assert_array_equal(timed.seconds, [swinging(i) for i in range(len(timed.seconds))])
