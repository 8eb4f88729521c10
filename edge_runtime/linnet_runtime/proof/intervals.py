"""Statistics: shares and paired differences with their intervals."""

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
    """The paired difference in accuracy of two models on the same photos."""

    n: int
    """The number of photos."""
    only_first: int
    """The number of photos that only the first model predicts correctly."""
    only_second: int
    """The number of photos that only the second model predicts correctly."""
    difference: float
    """The first model's accuracy less the second's, -1..1."""
    low: float
    """The lower end of the 95 % interval of the difference."""
    high: float
    """The upper end."""
    p_value: float
    """The probability of a difference at least as large if the models were equally good; see ``mcnemar``."""


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedDifference:
    """Compares two models on the same photos; each argument says whether a prediction is correct, bool [N].

    Photos that both models predict correctly, or both incorrectly, carry no information about the difference. So a
    paired comparison can separate two models whose own intervals overlap. The interval is method 10 of Robert G.
    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17 (1998); the p-value is that of ``mcnemar``.
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
    """The exact two-sided p-value for two equally good models, from the numbers of photos where only one is correct.

    Quinn McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947): under that hypothesis each such photo is the toss of a fair coin.
    """
    n = only_first + only_second
    logarithms = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # of the factorials
    k = np.arange(min(only_first, only_second) + 1)
    tail = np.exp(logarithms[n] - logarithms[k] - logarithms[n - k] - n * math.log(2)).sum()
    return min(1.0, 2 * float(tail))
