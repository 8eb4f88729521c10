"""Statistics of latencies: the summary, intervals that allow for autocorrelation, and when a measurement is steady.
Internal.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]

_BLOCKS = 20
_REPLICATES = 1000
_FINEST = 4096  # ranks that a replicate distinguishes
_STEADY_WINDOWS = 3
_STEADY_WITHIN = 0.05


class Latency(msgspec.Struct, frozen=True):
    """Latencies in milliseconds. No value is left out, however large."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    p999: float
    """The 99.9th percentile. Fewer than about 10,000 inferences say little about it."""
    min: float
    max: float
    std: float
    """The standard deviation."""


class Interval(msgspec.Struct, frozen=True):
    """A 95 % interval in milliseconds."""

    low: float
    high: float


def latency_summary(seconds: Seconds) -> Latency:
    """The summary of times in seconds, float64 [N]."""
    milliseconds = seconds * 1e3
    p50, p90, p95, p99, p999 = map(float, np.percentile(milliseconds, (50, 90, 95, 99, 99.9)))
    return Latency(
        mean=float(milliseconds.mean()),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        p999=p999,
        min=float(milliseconds.min()),
        max=float(milliseconds.max()),
        std=float(milliseconds.std()),
    )


def latency_intervals(seconds: Seconds, seed: int = 0) -> dict[str, Interval]:
    """The 95 % intervals of p50 and p90 in milliseconds, of times in seconds in the order of their measurement.

    Neighboring latencies are alike: a processor changes its frequency, and another program runs for a while. So whole
    blocks of consecutive latencies are drawn, not single ones. Edward Carlstein, "The use of subseries values for
    estimating the variance of a general statistic from a stationary sequence", Annals of Statistics 14 (1986). There
    are 20 blocks: a dependence that lasts longer than a twentieth of the measurement makes the interval too narrow.
    """
    blocks = min(_BLOCKS, len(seconds))
    block_of = np.arange(len(seconds)) * blocks // len(seconds)
    order = np.argsort(seconds, kind="stable")
    ranks = min(_FINEST, len(seconds))
    cell = np.arange(len(seconds)) * ranks // len(seconds) * blocks + block_of[order]
    # counts[i, b]: how many latencies of block b have at most rank i.
    counts = np.cumsum(np.bincount(cell, minlength=ranks * blocks).reshape(ranks, blocks), axis=0, dtype=np.float32)
    largest_ms = seconds[order][(np.arange(1, ranks + 1) * len(seconds) - 1) // ranks] * 1e3  # by rank
    drawn = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), _REPLICATES)
    below = counts @ drawn.T.astype(np.float32)  # [rank, replicate]
    intervals = {}
    for percent in (50, 90):
        rank = np.argmax(below >= percent / 100 * below[-1], axis=0)
        low, high = np.percentile(largest_ms[rank], (2.5, 97.5))
        intervals[f"p{percent}"] = Interval(float(low), float(high))
    return intervals


def is_steady(window_p90: list[float]) -> bool:
    """Whether the p90 of the last three windows differ by at most 5 % from their median."""
    last = np.array(window_p90[-_STEADY_WINDOWS:])
    middle = float(np.median(last)) if len(last) else 0.0
    return len(last) == _STEADY_WINDOWS and bool((np.abs(last - middle) <= _STEADY_WITHIN * middle).all())
