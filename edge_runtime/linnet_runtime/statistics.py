"""Shares with their intervals, and what a latency sample says."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_Z_95 = 1.959964  # the normal distribution's 97.5 % point


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``successes`` in ``n``.

    Edwin B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927): unlike the
    normal approximation it stays within 0..1 and holds for shares near 1, where agreements are.
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = successes / n, _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At the ends the formula gives 0 and 1 but for rounding.
    return max(0.0, middle - half) if successes else 0.0, min(1.0, middle + half) if successes < n else 1.0


def latency_summary(seconds: NDArray[np.float64]) -> dict[str, float]:
    """A sample of times in seconds to mean, percentiles and extremes in milliseconds."""
    milliseconds = seconds * 1e3
    p50, p90, p99 = np.percentile(milliseconds, (50, 90, 99))
    return {
        "mean": float(milliseconds.mean()),
        "p50": float(p50),
        "p90": float(p90),
        "p99": float(p99),
        "min": float(milliseconds.min()),
        "max": float(milliseconds.max()),
    }
