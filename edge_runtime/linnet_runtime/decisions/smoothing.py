"""Averages and votes over the results of the last seconds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_RESULTS = 4096
"""The most results that a window holds, whatever its seconds; the oldest leave first."""
_UNITS = float(1 << 40)  # sums of whole numbers are exact: nothing drifts, however many results come and go


class Exponential:
    """The exponential moving average for results at uneven times, with time constant T: each result moves the average
    towards itself by the share 1 - exp(-dt / T), where dt is the time since the result before it.
    """

    def __init__(self, time_constant_s: float) -> None:
        self._time_constant_s = time_constant_s
        self._average: Array | None = None
        self._last = 0.0

    def add(self, probability: Array, time: float) -> Array:
        """The average after a result; the first one is the average."""
        if self._average is None:
            self._average = probability
        else:
            share = -math.expm1(-(time - self._last) / self._time_constant_s)
            self._average = self._average + share * (probability - self._average)
        self._last = time
        return self._average

    def reset(self) -> None:
        """Forgets all results."""
        self._average = None


class Votes:
    """The votes and the mean probabilities of the results that are less than ``window_s`` older than the newest one."""

    def __init__(self, window_s: float, votes_of: Callable[[Array], NDArray[np.bool_]]) -> None:
        """``votes_of`` gives the votes [choices] of a result's probabilities [classes]."""
        self._window_s = window_s
        self._votes_of = votes_of
        self._results: deque[tuple[float, Array]] = deque()
        self._sum: NDArray[np.int64] | None = None
        self._votes: NDArray[np.int64] | None = None

    def add(self, probability: Array, time: float) -> tuple[Array, Array]:
        """The share of the window's results that vote for each choice, and the mean of the probabilities, after a
        result.
        """
        self._count(probability, 1)
        self._results.append((time, probability))
        while time - self._results[0][0] >= self._window_s or len(self._results) > MOST_RESULTS:
            self._count(self._results.popleft()[1], -1)
        assert self._sum is not None and self._votes is not None  # noqa: S101, PT018  # counted above
        count = len(self._results)
        return self._votes / count, self._sum / (_UNITS * count)

    def reset(self) -> None:
        """Forgets all results."""
        self._results.clear()
        self._sum = self._votes = None

    def _count(self, probability: Array, sign: int) -> None:
        units = sign * np.rint(probability * _UNITS).astype(np.int64)
        votes = sign * self._votes_of(probability).astype(np.int64)
        self._sum = units if self._sum is None else self._sum + units
        self._votes = votes if self._votes is None else self._votes + votes
