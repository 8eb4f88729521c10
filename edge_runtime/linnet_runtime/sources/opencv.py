"""What cameras, streams and video files have in common that OpenCV reads. Internal."""

from __future__ import annotations

import contextlib
import ctypes
import functools
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
from linnet_runtime.sources.api import Frame, NoFrameYet, SourceError

_UNDECODED = {"AV01": "AV1"}  # what FFmpeg in OpenCV's wheels recognizes, and decodes with a GPU only
_SPEAKER = re.compile(r"^\[.*? @ 0x[0-9a-f]+\] ")  # of FFmpeg's lines: "[tcp @ 0x55d0] Connection refused"
_LOG_ERRORS, _LOG_NOTHING = 16, -8  # of FFmpeg's log levels


class OpenCvSource(Closable):
    """A ``cv2.VideoCapture`` whose first frame has been read."""

    skipped = 0

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], cv2.VideoCapture],
        *,
        live: bool,
        expected: str,
    ) -> None:
        """Raises SourceError when no frame comes, with FFmpeg's last message where there is one."""
        self.live, self.every_frame = live, not live
        self._name = name
        with _ffmpegs_errors() as said:
            self._capture = open_capture()
            found, first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not found or first is None:
            codec = _UNDECODED.get(_codec(self._capture))
            self._capture.release()
            fix: str | None = None
            if codec:
                got = f"{codec} video, for which OpenCV {cv2.__version__} has no decoder"
                convert = f"ffmpeg -i {Path(name).name} -c:v libx264 h264.mp4"
                fix = "set the camera to H.264 or MJPEG" if live else convert
            elif said:
                got = without_secrets(_SPEAKER.sub("", said[-1]))
            else:
                got, fix = self._reason()
            raise SourceError(name, got=got, expected=expected, fix=fix)
        self._first: NDArray[np.uint8] | None = first
        self._opened()

    def read(self) -> Frame | NoFrameYet | None:
        pixels = self._pixels()
        return None if pixels is None else self._frame(pixels)

    def _pixels(self) -> NDArray[np.uint8] | None:
        """What the capture gives next."""
        if self._first is not None:
            pixels, self._first = self._first, None
            return pixels
        found, pixels = self._capture.read()
        return pixels if found else None

    def _reason(self) -> tuple[str, str | None]:
        """Why there is no first frame, and the fix."""
        return "no frame", None

    def _frame(self, pixels: NDArray[np.uint8]) -> Frame:
        # Some OpenCV builds pass on a camera's buffer without decoding it: one row of bytes.
        if pixels.ndim == 2 and len(pixels) > 1:
            return Frame(pixels, "gray")
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise SourceError(self._name, got=f"frames of shape {list(pixels.shape)}", expected="[H, W, 3]")
        return Frame(pixels)

    def _release(self) -> None:
        self._capture.release()


@contextlib.contextmanager
def ffmpeg_options(options: str) -> Iterator[None]:
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


def _codec(capture: cv2.VideoCapture) -> str:
    """The four letters of the video's codec in capitals; empty where nothing is open."""
    return int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("latin-1").upper()


@contextlib.contextmanager
def _ffmpegs_errors() -> Iterator[list[str]]:
    """Captures FFmpeg's errors during the block, and has it write none from then on: a stream of months would fill a
    log with what it writes for each damaged frame, and it writes while frames are read, when nothing can be captured.
    """
    with no_chatter() as said:
        _set_ffmpeg_log(_LOG_ERRORS)
        try:
            yield said
        finally:
            _set_ffmpeg_log(_LOG_NOTHING)


def _set_ffmpeg_log(level: int) -> None:
    if "OPENCV_FFMPEG_DEBUG" not in os.environ and (library := _ffmpeg_library()):
        ctypes.CDLL(library).av_log_set_level(level)


@functools.cache
def _ffmpeg_library() -> str | None:
    """The file of the libavutil that OpenCV has loaded; None where it was built without FFmpeg."""
    with contextlib.suppress(OSError):  # no /proc
        for line in Path("/proc/self/maps").read_text().splitlines():
            path = line.rpartition(" ")[2]
            if Path(path).name.startswith("libavutil"):
                return path
    return None
