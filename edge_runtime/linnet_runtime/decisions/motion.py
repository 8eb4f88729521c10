"""Whether a region differs from what it was: a frame difference at 64 pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""The longer side, in pixels, of the pictures that are compared."""
_SAMPLED = 4 * SIDE  # each compared pixel is the mean of 4 x 4 samples, which takes a quarter of the noise
_BLUR = (5, 5)  # and a fifth of what is left: a difference of 12 is three times that of a dark camera's noise
_LEVELS = 12  # of 255


class Motion:
    """Measures how much of a region has changed since the last motion in it.

    The reference is the picture at the last motion, and not the last frame: a slow gate moves little from frame to
    frame, and its differences add up until they count. A stopped object counts once. The mean of each picture is
    removed, so that a light that is switched or a camera's exposure is no motion. The state is one picture of at most
    64 x 64 pixels.
    """

    def __init__(self, threshold: float) -> None:
        """A share of the region, above 0 and at most 1: more than this must differ."""
        self._threshold = threshold
        self._reference: NDArray[np.float32] | None = None

    def moved(self, picture: NDArray[np.uint8]) -> bool:
        """Whether a region's pixels, uint8 [H, W, 3] or [H, W], show motion. The first picture does, and so does the
        first in another size.
        """
        small = _small(picture)
        if self._reference is not None and self._reference.shape == small.shape:
            difference = cv2.blur(cv2.subtract(small, self._reference), _BLUR)
            changed = np.count_nonzero(np.abs(difference) > _LEVELS) / small.size
            if changed <= self._threshold:
                return False
        self._reference = small
        return True

    def reset(self) -> None:
        """Forgets the reference: the next picture is motion."""
        self._reference = None


def _small(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Gray, at most 64 pixels a side, without its mean: float32."""
    picture = _shrunk(picture, _SAMPLED, cv2.INTER_NEAREST)
    gray = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    small = _shrunk(gray, SIDE, cv2.INTER_AREA).astype(np.float32)
    return small - small.mean()


def _shrunk(picture: NDArray[np.uint8], side: int, interpolation: int) -> NDArray[np.uint8]:
    """The longer side as long as ``side``, where it is longer."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=interpolation)
