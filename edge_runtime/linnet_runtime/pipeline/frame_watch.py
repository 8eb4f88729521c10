"""Watches a camera's frames for faults that raise no error: a frozen picture, and a covered or blurred lens.
Internal.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.results import Event, EventKind
from linnet_runtime.sources.api import Frame

_FROZEN_S = 30.0  # streams of an unmoved scene repeat a frame until the next key frame, mostly within 10 s
_FEWEST_REPEATS = 3  # two equal pictures of a camera with a picture a minute prove nothing
_STEP = 16  # of the rows and columns that are compared first

_EVERY_S = 0.5  # between two measurements of sharpness
_COVERED_S = 5.0  # longer than somebody takes to walk past
_FEWEST_BLURRED = 4  # measurements
_LOST, _FOUND = 0.15, 0.4  # of the usual sharpness: covered below the first, uncovered above the second
_LEARNING_S, _MEMORY_S = 10.0, 120.0  # until there is a usual sharpness; the time constant with which it follows
_WIDTH = 160  # pixels: averaging down to it removes most of the sensor's noise, which looks like detail
_MOST_NOISE = 1.25  # standard deviation after averaging; more of it is motion
_NOISE_GAIN = 20.0  # of the Laplacian [0 1 0; 1 -4 1; 0 1 0], for variances
_LITTLE = 8.0  # added to each sharpness: a scene with hardly any detail, or with motion like noise, has none to lose
_SOME = 5.0  # sharpness that shows something in a darker frame
_DARKER, _KEPT = 0.7, 0.3  # of the usual brightness; of the sharpness that a frame so dark should have
_BLACK, _LIT = 12.0, 40.0  # mean values, 0 to 255

Found = tuple[EventKind, str]


class FrameWatch:
    """Looks at each frame of one camera, in the order of capture and from one thread.

    Frozen: the frames are equal, byte for byte, for ``frozen_s`` seconds. A dark room is not frozen: its sensor's noise
    changes the bytes.

    Covered or blurred: the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", ICPR 2000), without the sensor's noise, stays below 15 % of its usual value for 5 s. The usual value is
    the camera's own, a logarithmic average over minutes, which follows dusk. A frame that is darker at once may have
    less detail, as long as it has some. One that turns black is reported with that reason: a covered lens and a
    switched-off light look the same.
    """

    def __init__(self, camera: str = "", *, frozen_s: float = _FROZEN_S) -> None:
        self._camera = camera
        self._repetition = _Repetition(frozen_s)
        self._sharpness = _Sharpness()

    def look(self, frame: Frame) -> list[Event]:
        """Looks at the next frame.

        Returns:
            What has changed: ``frozen`` or ``moving``, ``covered`` or ``uncovered``, with the reason.
        """
        return [
            Event(kind, at=frame.captured_at, camera=self._camera, reason=reason, frame=frame)
            for kind, reason in (*self._repetition.look(frame), *self._sharpness.look(frame))
        ]


class _Repetition:
    """Whether the same frame comes again and again."""

    def __init__(self, frozen_s: float) -> None:
        self._frozen_s = frozen_s
        self._first: Frame | None = None  # of the equal frames
        self._repeats = 0
        self._frozen = False

    def look(self, frame: Frame) -> list[Found]:
        if self._first is None or not _equal(self._first.pixels, frame.pixels):
            seconds = frame.captured_monotonic - self._first.captured_monotonic if self._first is not None else 0.0
            was_frozen, self._frozen = self._frozen, False
            self._first, self._repeats = frame, 0
            return [("moving", f"another frame after {seconds:.0f} s")] if was_frozen else []
        self._repeats += 1
        seconds = frame.captured_monotonic - self._first.captured_monotonic
        if self._frozen or self._repeats < _FEWEST_REPEATS or seconds < self._frozen_s:
            return []
        self._frozen = True
        return [("frozen", f"the same {_content(frame.pixels)}, byte for byte, for {seconds:.0f} s")]


def _equal(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    # A tenth of the time where they differ, which is nearly always.
    return np.array_equal(one[::_STEP, ::_STEP], other[::_STEP, ::_STEP]) and np.array_equal(one, other)


def _content(pixels: NDArray[np.uint8]) -> str:
    if (pixels == pixels[0, 0]).all():
        return "frame of a single color (a dark room would have noise)"
    return "frame"


class _Sharpness:
    """Whether the frames have lost the detail that they usually have."""

    def __init__(self) -> None:
        self._started = self._last = -math.inf
        self._picture: NDArray[np.float32] | None = None
        self._usual = 0.0  # logarithm of the usual sharpness
        self._light = 0.0  # logarithm of the usual brightness
        self._low_since: float | None = None
        self._low = 0  # measurements in a row
        self._covered = False

    def look(self, frame: Frame) -> list[Found]:
        now = frame.captured_monotonic
        if now < self._last + _EVERY_S:
            return []
        sharpness, brightness = self._measure(frame)
        if self._last == -math.inf:
            self._started = self._last = now
            self._usual, self._light = math.log(sharpness + _LITTLE), math.log(brightness)
        elapsed, self._last = now - self._last, now
        share = (sharpness + _LITTLE) / math.exp(self._usual)
        black = brightness < _BLACK and math.exp(self._light) > _LIT
        learned = now >= self._started + _LEARNING_S
        if learned and (black or share < _LOST) and not self._is_only_darker(sharpness, brightness):
            reason = f"sharpness {share:.0%} of the usual: the lens is covered, dirty or out of focus"
            if black:
                reason = f"black (mean value {brightness:.0f} of 255): the lens is covered or the light is off"
            return self._look_at_low(now, reason)
        self._low_since, self._low = None, 0
        weight = 1 - math.exp(-elapsed / (_MEMORY_S if learned else _LEARNING_S))
        self._usual += weight * (math.log(sharpness + _LITTLE) - self._usual)
        self._light += weight * (math.log(brightness) - self._light)
        if not self._covered or share < _FOUND:
            return []
        self._covered = False
        return [("uncovered", f"sharpness {share:.0%} of the usual")]

    def _look_at_low(self, now: float, reason: str) -> list[Found]:
        self._low_since = now if self._low_since is None else self._low_since
        self._low += 1
        if self._covered or self._low < _FEWEST_BLURRED or now < self._low_since + _COVERED_S:
            return []
        self._covered = True
        return [("covered", reason)]

    def _is_only_darker(self, sharpness: float, brightness: float) -> bool:
        """Whether less light explains the loss: contrasts are proportional to it, and their variance to its square."""
        darker = brightness / math.exp(self._light)
        expected = (math.exp(self._usual) - _LITTLE) * darker**2
        return darker < _DARKER and sharpness > max(_SOME, _KEPT * expected)

    def _measure(self, frame: Frame) -> tuple[float, float]:
        """The variance of the Laplacian without that of the noise, and the mean value (at least 1)."""
        pixels = frame.pixels if frame.pixels.ndim == 2 else frame.pixels[..., 1]  # green has most of the detail
        height, width = pixels.shape
        picture = pixels.astype(np.float32)
        if width > _WIDTH:
            size = (_WIDTH, max(1, round(height * _WIDTH / width)))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        before, self._picture = self._picture, picture
        deviation = cv2.meanStdDev(cv2.Laplacian(picture, cv2.CV_32F))[1].item()
        noise = 0.0
        if before is not None and before.shape == picture.shape:
            # The median difference of two frames, as a standard deviation: what moves in less than half is no noise.
            noise = min(_MOST_NOISE, float(np.median(np.abs(picture - before))) / 0.6745 / math.sqrt(2))
        return max(0.0, deviation**2 - _NOISE_GAIN * noise**2), max(1.0, float(picture.mean()))
