"""Percentiles of milliseconds in constant memory, however many values come. Internal."""

from __future__ import annotations

import math
import time
from array import array
from collections import deque

RELATIVE_ERROR = 0.01
WINDOW_S = 60.0
_PARTS = 6  # of the window; one part at a time is forgotten

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)
_SMALLEST_MS = 1e-3  # smaller values count as this
_BUCKETS = 1 + math.ceil(math.log(1e9 / _SMALLEST_MS) / _LOG_GAMMA)  # up to eleven days
_PERCENTILES = (50, 90, 99)


class LatencySketch:
    """Counts values in buckets whose limits grow by a constant factor, so that every percentile is within 1 % of the
    true one; mean, minimum and maximum are exact.

    Charles Masson, Jee E. Rim, Homin K. Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
    guarantees", VLDB 2019. Here the number of buckets is fixed, because the range of the values is known.
    """

    def __init__(self) -> None:
        self.count = 0
        self._buckets = array("Q", bytes(8 * _BUCKETS))
        self._sum, self._min, self._max = 0.0, math.inf, -math.inf

    def add(self, ms: float) -> None:
        """Counts a value in milliseconds."""
        index = math.ceil(math.log(max(ms, _SMALLEST_MS) / _SMALLEST_MS) / _LOG_GAMMA)
        self._buckets[min(index, _BUCKETS - 1)] += 1
        self.count += 1
        self._sum += ms
        self._min, self._max = min(self._min, ms), max(self._max, ms)

    def merge(self, other: LatencySketch) -> None:
        """Counts what another sketch has counted."""
        for i, count in enumerate(other._buckets):
            self._buckets[i] += count
        self.count += other.count
        self._sum += other._sum
        self._min, self._max = min(self._min, other._min), max(self._max, other._max)

    def percentile(self, percent: float) -> float:
        """The smallest value that so many percent of the values do not exceed, within 1 %. There must be a value."""
        rank, below = max(1, math.ceil(percent / 100 * self.count)), 0
        for i, count in enumerate(self._buckets):
            below += count
            if below >= rank:
                middle = 2 * _SMALLEST_MS * _GAMMA**i / (_GAMMA + 1)
                return min(max(middle, self._min), self._max)
        return self._max

    def summary(self) -> dict[str, float] | None:
        """``mean``, ``p50``, ``p90``, ``p99``, ``min`` and ``max`` in milliseconds; None before the first value."""
        if not self.count:
            return None
        percentiles = {f"p{percent}": self.percentile(percent) for percent in _PERCENTILES}
        return {"mean": self._sum / self.count, **percentiles, "min": self._min, "max": self._max}


class RecentLatency:
    """The values of the last 50 to 60 seconds: a sketch for each ten seconds, of which the oldest is forgotten."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, LatencySketch]] = deque(maxlen=_PARTS)

    def add(self, ms: float) -> None:
        """Counts a value in milliseconds, now."""
        number = _part_number()
        if not self._parts or self._parts[-1][0] != number:
            self._parts.append((number, LatencySketch()))
        self._parts[-1][1].add(ms)

    def summary(self) -> dict[str, float] | None:
        """As ``LatencySketch.summary``, of the last minute."""
        merged, oldest = LatencySketch(), _part_number() - _PARTS
        for number, sketch in tuple(self._parts):  # another thread may add
            if number > oldest:
                merged.merge(sketch)
        return merged.summary()


def _part_number() -> int:
    return int(time.monotonic() * _PARTS / WINDOW_S)
