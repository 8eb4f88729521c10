"""Shares and their differences, with intervals, and what a latency sample says."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class PairedDifference:
    """Two models on the same ``n`` photos: of how many each was right where the other was wrong, the first's share of
    right ones less the second's with its 95 % interval, and the p-value of there being no difference.
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float
    p_value: float


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedDifference:
    """Compares two models by whether they were right, bool [N] each, on the same photos.

    Photos that both got right or both wrong say nothing about the difference, which is why two models on one test set
    can be told apart where their own intervals overlap. The interval is method 10 of Robert G. Newcombe, "Improved
    confidence intervals for the difference between binomial proportions based on paired data", Statistics in Medicine
    17 (1998); the p-value is of ``mcnemar``.
    """
    n = len(first)
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    right_first, right_second = both + only_first, both + only_second
    difference = (only_first - only_second) / n if n else 0.0
    low_first, high_first = wilson_interval(right_first, n)
    low_second, high_second = wilson_interval(right_second, n)
    share_first, share_second = right_first / (n or 1), right_second / (n or 1)
    together: float = both * neither - only_first * only_second
    if together > 0:
        together = max(together - n / 2, 0.0)
    spread = math.sqrt(right_first * (n - right_first) * right_second * (n - right_second))
    phi = together / spread if spread else 0.0

    def combined(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))

    return PairedDifference(
        n=n,
        only_first=only_first,
        only_second=only_second,
        difference=difference,
        low=difference - combined(share_first - low_first, high_second - share_second),
        high=difference + combined(high_first - share_first, share_second - low_second),
        p_value=mcnemar(only_first, only_second),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of two models being right equally often, of the counts where only one was right.

    Quinn McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947): then each such photo is a fair coin.
    """
    n = only_first + only_second
    logarithms = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # of the factorials
    k = np.arange(min(only_first, only_second) + 1)
    tail = np.exp(logarithms[n] - logarithms[k] - logarithms[n - k] - n * math.log(2)).sum()
    return min(1.0, 2 * float(tail))


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
