"""Percentiles in constant memory: as near as stated, and as small after a million values as before the first."""

from __future__ import annotations

import math

import numpy as np
import pytest

import linnet_runtime.pipeline.latency_sketch
from linnet_runtime.pipeline.latency_sketch import RELATIVE_ERROR, WINDOW_S, LatencySketch, RecentLatency


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_every_percentile_is_within_one_percent_and_the_mean_and_the_extremes_are_exact(spread: float) -> None:
    values = np.maximum(np.random.default_rng(0).lognormal(math.log(20), spread, 10_000), 1e-3)
    sketch = LatencySketch()
    for value in values:
        sketch.add(value)
    for percent in (0, 1, 50, 90, 99, 99.9, 100):
        true = np.percentile(values, percent, method="inverted_cdf")
        assert sketch.percentile(percent) == pytest.approx(true, rel=RELATIVE_ERROR)
    summary = sketch.summary()
    assert summary is not None
    assert summary["mean"] == pytest.approx(values.mean())
    assert (summary["min"], summary["max"]) == (values.min(), values.max())


def test_one_value_is_its_own_percentile() -> None:
    sketch = LatencySketch()
    sketch.add(12.34)
    assert sketch.summary() == dict.fromkeys(("mean", "p50", "p90", "p99", "min", "max"), 12.34)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-9, 1e12, 1e300])
def test_a_value_beyond_the_buckets_is_counted(value: float) -> None:
    """A clock that the camera's driver sets back makes a frame younger than nothing."""
    sketch = LatencySketch()
    sketch.add(value)
    assert sketch.percentile(50) == value


def test_there_are_as_many_buckets_after_many_values_as_before_the_first() -> None:
    sketch = LatencySketch()
    before = len(sketch._buckets) * sketch._buckets.itemsize
    for value in np.random.default_rng(0).lognormal(3, 4, 200_000):
        sketch.add(value)
    assert len(sketch._buckets) * sketch._buckets.itemsize == before < 16_384
    assert set(vars(sketch)) == {"count", "_buckets", "_sum", "_min", "_max"}


def test_what_two_sketches_have_counted_can_be_merged() -> None:
    both, low, high = LatencySketch(), LatencySketch(), LatencySketch()
    for value in range(1, 1001):
        (low if value < 500 else high).add(value)
        both.add(value)
    low.merge(high)
    assert low.summary() == pytest.approx(both.summary())


def test_the_last_minute_forgets_what_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(linnet_runtime.pipeline.latency_sketch.time, "monotonic", lambda: now[0])
    recent = RecentLatency()
    assert recent.summary() is None
    for value in range(1000):
        now[0] += 1
        recent.add(value)
    summary = recent.summary()
    assert summary is not None
    assert 940 < summary["min"] < 951  # it forgets ten seconds at a time
    assert summary["max"] == 999
    assert len(recent._parts) <= 6
    now[0] += WINDOW_S + 10
    assert recent.summary() is None
