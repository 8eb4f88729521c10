"""V4L2 cameras: USB cameras, and the cameras of most boards."""

from __future__ import annotations

from pathlib import Path

import cv2

from linnet_runtime.sources.api import SourceError
from linnet_runtime.sources.opencv import OpenCvSource

_SIZE = (640, 480)


def open_camera(uri: str) -> OpenCvSource:
    """A V4L2 camera: ``0``, ``/dev/video0`` or ``v4l2:///dev/video0``, at 640 x 480 where the camera has that size."""
    device = uri.removeprefix("v4l2:").removeprefix("//") or "0"
    path = Path(f"/dev/video{device}" if device.isdecimal() else device)
    if not path.exists():
        here = ", ".join(sorted(str(camera) for camera in Path("/dev").glob("video*")))
        raise SourceError(uri, got=f"no {path}", expected=f"one of {here}" if here else "a camera; none is connected")

    def open_capture() -> cv2.VideoCapture:
        capture = cv2.VideoCapture(int(device) if device.isdecimal() else device, cv2.CAP_V4L2)
        # MJPG, because raw frames at full rate are too much for USB 2. The format has to be set before the size.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, _SIZE[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, _SIZE[1])
        return capture

    return OpenCvSource(
        uri,
        open_capture,
        live=True,
        expected="frames from a V4L2 camera",
        fix="close other programs that use it, and add your user to the group video",
    )
