"""Which frames of a region are classified."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linnet_runtime.decisions.motion import Motion
from linnet_runtime.decisions.settings import When


class Trigger:
    """Says of each frame whether it is to be classified; one for each camera and region. It has no clock: the times
    come with the frames.
    """

    def __init__(self, when: When) -> None:
        self._when = when
        self._motion = None if when.motion is None else Motion(when.motion)
        self._last_classified: float | None = None
        self._last_motion: float | None = None

    def due(self, picture: NDArray[np.uint8], captured_monotonic: float, *, requested: bool = False) -> bool:
        """Whether a frame is to be classified.

        Args:
            picture: the region's pixels, uint8 [H, W, 3] or [H, W].
            captured_monotonic: when it was captured, in seconds.
            requested: whether somebody has requested a result since the last frame.
        """
        if self._motion is not None and self._motion.moved(picture):
            self._last_motion = captured_monotonic
        due = (
            requested
            or self._when.every
            or _within(self._when.motion_hold_s, self._last_motion, captured_monotonic)
            or self._interval_is_over(captured_monotonic)
        )
        if due:
            self._last_classified = captured_monotonic
        return due

    def _interval_is_over(self, now: float) -> bool:
        interval = self._when.interval_s
        return interval is not None and not _within(interval, self._last_classified, now, closed=False)


def _within(seconds: float, since: float | None, now: float, *, closed: bool = True) -> bool:
    """Whether at most ``seconds`` have passed; less than that where the interval is not ``closed``."""
    if since is None or now < since:  # a time that goes back begins anew
        return False
    return now - since <= seconds if closed else now - since < seconds
