"""Cameras, streams and video files through OpenCV."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.chatter import no_chatter
from linnet_runtime.sources.api import Frame, SourceError

_TIMEOUT_MS = 3000  # OpenCV's own, 30 s, is a camera that seems to hang
_CAMERA_SIZE = (640, 480)
# Of a frame that was cut off FFmpeg fills the rest with the frame before: discardcorrupt drops it. RTSP over TCP loses
# no packets; the others keep FFmpeg from collecting a second of frames before the first one.
_FILE_OPTIONS = "fflags;discardcorrupt"
_STREAM_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer+discardcorrupt|flags;low_delay"
_PASSWORD = re.compile(r"(?<=//)[^/\s]*@")
_SPEAKER = re.compile(r"^\[.*? @ 0x[0-9a-f]+\] ")  # of FFmpeg's lines: "[tcp @ 0x55d0] Connection refused"


class OpenCvSource:
    """A ``cv2.VideoCapture`` that has given its first frame."""

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], cv2.VideoCapture],
        *,
        live: bool,
        expected: str,
        fix: str | None = None,
    ) -> None:
        """Raises SourceError, in FFmpeg's own words where it has any, when no frame comes."""
        self.live = live
        self._name = name
        with no_chatter() as said:
            self._capture = open_capture()
            found, first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not found or first is None:
            self._capture.release()
            got = _PASSWORD.sub("", _SPEAKER.sub("", said[-1])) if said else "no frame"
            raise SourceError(name, got=got, expected=expected, fix=fix)
        self._first: NDArray[np.uint8] | None = first

    def read(self) -> Frame | None:
        if self._first is not None:
            pixels, self._first = self._first, None
            return self._frame(pixels)
        found, pixels = self._capture.read()
        return self._frame(pixels) if found else None

    def _frame(self, pixels: NDArray[np.uint8]) -> Frame:
        # Some OpenCV builds hand a camera's buffer over undecoded: one row of bytes.
        if pixels.ndim == 2 and len(pixels) > 1:
            return Frame(pixels, "gray")
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise SourceError(self._name, got=f"frames of shape {list(pixels.shape)}", expected="[H, W, 3]")
        return Frame(pixels)

    def close(self) -> None:
        self._capture.release()


def open_camera(uri: str) -> OpenCvSource:
    """A V4L2 camera: ``0``, ``/dev/video0`` or ``v4l2:///dev/video0``, at 640x480 where it can."""
    device = uri.removeprefix("v4l2:").removeprefix("//") or "0"
    path = Path(f"/dev/video{device}" if device.isdecimal() else device)
    if not path.exists():
        here = ", ".join(sorted(str(camera) for camera in Path("/dev").glob("video*")))
        raise SourceError(uri, got=f"no {path}", expected=f"one of {here}" if here else "a camera; none is connected")

    def open_capture() -> cv2.VideoCapture:
        capture = cv2.VideoCapture(int(device) if device.isdecimal() else device, cv2.CAP_V4L2)
        # Compressed frames first: raw ones at full rate do not fit through USB 2, and the format must precede the size.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, _CAMERA_SIZE[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, _CAMERA_SIZE[1])
        return capture

    return OpenCvSource(
        uri,
        open_capture,
        live=True,
        expected="frames from a V4L2 camera",
        fix="end what else uses it, and see that you are in the group video",
    )


def open_stream(uri: str) -> OpenCvSource:
    """An RTSP or MJPEG address. A password in it never reaches an error's line."""
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]

    def open_capture() -> cv2.VideoCapture:
        with _ffmpeg_options(_STREAM_OPTIONS):
            return cv2.VideoCapture(uri, cv2.CAP_FFMPEG, timeouts)

    return OpenCvSource(_PASSWORD.sub("", uri), open_capture, live=True, expected="a stream that OpenCV can read")


def open_video(uri: str) -> OpenCvSource:
    """A video file; every frame is read, as fast as it is used."""

    def open_capture() -> cv2.VideoCapture:
        with _ffmpeg_options(_FILE_OPTIONS):
            return cv2.VideoCapture(uri, cv2.CAP_ANY)

    return OpenCvSource(uri, open_capture, live=False, expected="a video that OpenCV can read")


@contextlib.contextmanager
def _ffmpeg_options(options: str) -> Iterator[None]:
    """OpenCV takes FFmpeg's options from the environment, and from nowhere else. The user's own win."""
    name = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    if name in os.environ:
        yield
        return
    os.environ[name] = options
    try:
        yield
    finally:
        del os.environ[name]
