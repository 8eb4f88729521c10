"""Cameras, streams and video files through OpenCV."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.sources.api import Frame, SourceError

_TIMEOUT_MS = 3000  # OpenCV's own, 30 s, is a camera that seems to hang
_CAMERA_SIZE = (640, 480)
# RTSP over TCP loses no packets; the rest keeps FFmpeg from collecting a second of frames before the first one.
_RTSP_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"


class OpenCvSource:
    """A ``cv2.VideoCapture`` that has given its first frame."""

    def __init__(self, name: str, capture: cv2.VideoCapture, *, live: bool) -> None:
        self.live = live
        self._name = name
        self._capture = capture
        found, first = capture.read() if capture.isOpened() else (False, None)
        if not found or first is None:
            capture.release()
            raise SourceError(name, got="no frame", expected="a camera, stream or video that OpenCV can read")
        self._first: NDArray[np.uint8] | None = first

    def read(self) -> Frame | None:
        if self._first is not None:
            pixels, self._first = self._first, None
            return self._frame(pixels)
        found, pixels = self._capture.read()
        return self._frame(pixels) if found else None

    def _frame(self, pixels: NDArray[np.uint8]) -> Frame:
        if pixels.ndim == 2:
            return Frame(pixels, "gray")
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            # Some OpenCV builds hand a camera's buffer over undecoded: one row of bytes.
            raise SourceError(self._name, got=f"frames of shape {list(pixels.shape)}", expected="[H, W, 3]")
        return Frame(pixels)

    def close(self) -> None:
        self._capture.release()


def open_camera(uri: str) -> OpenCvSource:
    """A V4L2 camera: ``0``, ``/dev/video0`` or ``v4l2:///dev/video0``, at 640x480 where it can."""
    device = uri.removeprefix("v4l2:").removeprefix("//")
    capture = cv2.VideoCapture(int(device) if device.isdecimal() else device, cv2.CAP_V4L2)
    # Compressed frames first: raw ones at full rate do not fit through USB 2, and the format must precede the size.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, _CAMERA_SIZE[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, _CAMERA_SIZE[1])
    return OpenCvSource(uri, capture, live=True)


def open_stream(uri: str) -> OpenCvSource:
    """An RTSP or MJPEG address. A password in it never reaches an error's line."""
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _RTSP_OPTIONS)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
    parts = urlsplit(uri)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return OpenCvSource(shown, cv2.VideoCapture(uri, cv2.CAP_FFMPEG, timeouts), live=True)


def open_video(uri: str) -> OpenCvSource:
    """A video file; every frame is read, as fast as it is used."""
    return OpenCvSource(uri, cv2.VideoCapture(uri, cv2.CAP_ANY), live=False)
