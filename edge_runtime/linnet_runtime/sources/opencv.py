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
from linnet_devices.closable import Closable
from linnet_runtime.sources.addresses import without_secrets
from linnet_runtime.sources.api import Frame, SourceError

_TIMEOUT_MS = 3000  # OpenCV's own, 30 s, is a camera that seems to hang
_CAMERA_SIZE = (640, 480)
# FFmpeg fills the missing part of a frame from the frame before; discardcorrupt drops such a frame. RTSP over TCP loses
# no packets. The other options keep FFmpeg from collecting a second of frames before the first one.
_FILE_OPTIONS = "fflags;discardcorrupt"
_STREAM_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer+discardcorrupt|flags;low_delay"
_UNDECODED = {"AV01": "AV1"}  # what FFmpeg in OpenCV's wheels recognizes, and decodes with a GPU only
_SPEAKER = re.compile(r"^\[.*? @ 0x[0-9a-f]+\] ")  # of FFmpeg's lines: "[tcp @ 0x55d0] Connection refused"


class OpenCvSource(Closable):
    """A ``cv2.VideoCapture`` whose first frame has been read."""

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], cv2.VideoCapture],
        *,
        live: bool,
        expected: str,
        fix: str | None = None,
    ) -> None:
        """Raises SourceError when no frame comes, with FFmpeg's last message where there is one."""
        self.live = live
        self._name = name
        with no_chatter() as said:
            self._capture = open_capture()
            found, first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not found or first is None:
            codec = _UNDECODED.get(_codec(self._capture))
            self._capture.release()
            if codec:
                got = f"{codec} video, for which OpenCV {cv2.__version__} has no decoder"
                convert = f"ffmpeg -i {Path(name).name} -c:v libx264 h264.mp4"
                fix = "set the camera to H.264 or MJPEG" if live else convert
            else:
                got = without_secrets(_SPEAKER.sub("", said[-1])) if said else "no frame"
            raise SourceError(name, got=got, expected=expected, fix=fix)
        self._first: NDArray[np.uint8] | None = first
        self._opened()

    def read(self) -> Frame | None:
        if self._first is not None:
            pixels, self._first = self._first, None
            return self._frame(pixels)
        found, pixels = self._capture.read()
        return self._frame(pixels) if found else None

    def _frame(self, pixels: NDArray[np.uint8]) -> Frame:
        # Some OpenCV builds pass on a camera's buffer without decoding it: one row of bytes.
        if pixels.ndim == 2 and len(pixels) > 1:
            return Frame(pixels, "gray")
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise SourceError(self._name, got=f"frames of shape {list(pixels.shape)}", expected="[H, W, 3]")
        return Frame(pixels)

    def _release(self) -> None:
        self._capture.release()


def _codec(capture: cv2.VideoCapture) -> str:
    """The four letters of the video's codec in capitals; empty where nothing is open."""
    return int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("latin-1").upper()


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
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, _CAMERA_SIZE[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, _CAMERA_SIZE[1])
        return capture

    return OpenCvSource(
        uri,
        open_capture,
        live=True,
        expected="frames from a V4L2 camera",
        fix="close other programs that use it, and add your user to the group video",
    )


def open_stream(uri: str) -> OpenCvSource:
    """An RTSP address, or one at http:// with another stream than MJPEG. No error shows a password in it."""
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]

    def open_capture() -> cv2.VideoCapture:
        with _ffmpeg_options(_STREAM_OPTIONS):
            return cv2.VideoCapture(uri, cv2.CAP_FFMPEG, timeouts)

    return OpenCvSource(without_secrets(uri), open_capture, live=True, expected="a stream that OpenCV can read")


def open_video(uri: str) -> OpenCvSource:
    """A video file. Every frame is read, as fast as frames are used."""

    def open_capture() -> cv2.VideoCapture:
        with _ffmpeg_options(_FILE_OPTIONS):
            return cv2.VideoCapture(uri, cv2.CAP_ANY)

    return OpenCvSource(uri, open_capture, live=False, expected="a video that OpenCV can read")


@contextlib.contextmanager
def _ffmpeg_options(options: str) -> Iterator[None]:
    """Sets FFmpeg's options in the environment, the only place from which OpenCV takes them. The user's own stay."""
    name = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    if name in os.environ:
        yield
        return
    os.environ[name] = options
    try:
        yield
    finally:
        del os.environ[name]
