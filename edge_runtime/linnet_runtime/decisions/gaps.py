"""Whether so much time has passed since the last result that it says nothing about the new one."""

from __future__ import annotations

import statistics
from collections import deque

_USUAL_OF = 15  # intervals
_TIMES_USUAL = 10
_TIMES_STATED = 2
_LEAST_S = 1.0  # a pause of a third of a second at 30 frames a second is an engine that was busy


class Gaps:
    """Finds gaps between results: an interval above ``gap_s``, or, where that is None, above each of

    - ten times the usual interval: the median of the last 15, gaps among them, so that a camera that becomes slow has
      no gaps after eight results,
    - twice the stated ``interval_s`` of results without motion,
    - one second.

    A time that goes back is a gap too.
    """

    def __init__(self, gap_s: float | None, interval_s: float | None) -> None:
        self._gap_s = gap_s
        self._least_s = max(_LEAST_S, _TIMES_STATED * (interval_s or 0))
        self._intervals: deque[float] = deque(maxlen=_USUAL_OF)
        self._last: float | None = None

    def add(self, time: float) -> bool:
        """Takes the time of a result. Returns whether there is a gap before it."""
        if self._last is None:
            self._last = time
            return False
        interval, self._last = time - self._last, time
        if interval < 0:
            return True
        limit = self._limit()
        self._intervals.append(interval)
        return limit is not None and interval > limit

    def _limit(self) -> float | None:
        if self._gap_s is not None:
            return self._gap_s
        if not self._intervals:
            return None
        return max(self._least_s, _TIMES_USUAL * statistics.median(self._intervals))
