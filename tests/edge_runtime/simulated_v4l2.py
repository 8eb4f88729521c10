"""Simulated: ``cv2.VideoCapture`` on a V4L2 camera, strict where OpenCV's backend and cameras are.

As in OpenCV: a format that is set after the size is an error of this test; the size changes when both sides are set; a
driver gives the nearest size that it has; a second capture of a camera in use is not opened; with CONVERT_RGB off, a
frame is one row with the JPEG; reading a released capture is refused; POS_MSEC is the driver's monotonic time stamp.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

LAG_S = 2.0  # how long ago each frame was taken


class SimulatedV4l2:
    """A camera with these sizes. ``buffers`` are what the driver hands over, one JPEG each; None is a failed read."""

    def __init__(
        self,
        buffers: Iterable[bytes | None],
        *,
        sizes: tuple[tuple[int, int], ...] = ((640, 480), (1280, 720)),
        rates: tuple[float, ...] = (30.0, 15.0),
        mjpg: bool = True,
        time_stamps: bool = True,
    ) -> None:
        self.in_use = False
        self.opened: list[str] = []
        self.sizes, self.rates, self.mjpg, self.time_stamps = sizes, rates, mjpg, time_stamps
        self.buffers: Iterator[bytes | None] = iter(buffers)

    def capture(self, device: str, backend: int) -> _Capture:
        """In place of ``cv2.VideoCapture``."""
        assert backend == cv2.CAP_V4L2, "OpenCV would choose a backend itself"
        self.opened.append(device)
        return _Capture(self)


class _Capture:
    def __init__(self, camera: SimulatedV4l2) -> None:
        self._camera = camera
        self._open = not camera.in_use
        camera.in_use = True
        self._set: dict[int, float] = {}
        self._size = camera.sizes[0]
        self._rate = camera.rates[0]
        self._convert = True
        self._taken = 0.0

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return self._open

    def set(self, prop: int, value: float) -> bool:
        assert self._open, "set on a capture that is not open"
        if prop == cv2.CAP_PROP_FOURCC:
            assert not {cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT} & set(self._set), "the size was set first"
            self._set[prop] = value
            return self._camera.mjpg and int(value) == cv2.VideoWriter.fourcc(*"MJPG")
        if prop == cv2.CAP_PROP_CONVERT_RGB:
            self._convert = bool(value)
            return True
        assert prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS), prop
        self._set[prop] = value
        if prop == cv2.CAP_PROP_FPS:
            self._rate = min(self._camera.rates, key=lambda rate: abs(rate - value))
        elif {cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT} <= set(self._set):
            wanted = self._set[cv2.CAP_PROP_FRAME_WIDTH] * self._set[cv2.CAP_PROP_FRAME_HEIGHT]
            self._size = min(self._camera.sizes, key=lambda size: abs(size[0] * size[1] - wanted))
        return True

    def get(self, prop: int) -> float:
        if prop == cv2.CAP_PROP_FOURCC:
            return cv2.VideoWriter.fourcc(*("MJPG" if self._camera.mjpg else "YUYV"))
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self._taken * 1e3 if self._camera.time_stamps else 0.0
        return {
            cv2.CAP_PROP_FRAME_WIDTH: float(self._size[0]),
            cv2.CAP_PROP_FRAME_HEIGHT: float(self._size[1]),
            cv2.CAP_PROP_FPS: self._rate,
        }[prop]

    def read(self) -> tuple[bool, np.ndarray | None]:
        assert self._open, "read from a capture that is not open"
        buffer = next(self._camera.buffers, None)
        if buffer is None:
            return False, None
        self._taken = time.monotonic() - LAG_S
        if self._camera.mjpg and not self._convert:
            return True, np.frombuffer(buffer, np.uint8)[None]
        return True, cv2.imdecode(np.frombuffer(buffer, np.uint8), cv2.IMREAD_COLOR)

    def release(self) -> None:
        if self._open:
            self._camera.in_use = False
        self._open = False
