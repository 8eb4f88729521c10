"""Network streams through OpenCV's FFmpeg: rtsp://, and any other stream than MJPEG at http://. Internal."""

from __future__ import annotations

import time

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.sources.addresses import take_options, without_secrets
from linnet_runtime.sources.opencv import OpenCvSource, ffmpeg_options

# RTSP over TCP loses no packets. FFmpeg fills the missing part of a frame from the frame before; discardcorrupt drops
# such a frame. The other options keep FFmpeg from collecting a second of frames before the first one, and from
# measuring the rate, which takes another second.
_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer+discardcorrupt|flags;low_delay|fpsprobesize;0"
_THREADS = 2  # of the decoder: each further one holds every frame back for one more, and one is too slow for some
TIMEOUT_S = 2.0
"""For the connection and for each frame, where the address has no ``timeout=``. OpenCV's own, 30 s, is a camera that
seems to hang."""


class NetworkStream(OpenCvSource):
    """A stream that counts as lost when its next frame takes longer than the time-out."""

    def __init__(self, address: str, timeout_s: float) -> None:
        """Raises SourceError where the stream cannot be opened or gives no frame."""
        self._timeout_s = timeout_s
        timeout_ms = round(timeout_s * 1e3)
        settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]
        settings += [cv2.CAP_PROP_N_THREADS, _THREADS]

        def open_capture() -> cv2.VideoCapture:
            with ffmpeg_options(_OPTIONS):
                return cv2.VideoCapture(address, cv2.CAP_FFMPEG, settings)

        expected = "a stream that OpenCV can read"
        super().__init__(without_secrets(address), open_capture, live=True, expected=expected)

    def _reason(self) -> tuple[str, str | None]:
        return f"no frame within {self._timeout_s:g} s", "timeout=10 in the query of the address, if the camera is slow"

    def _pixels(self) -> NDArray[np.uint8] | None:
        started = time.monotonic()
        pixels = super()._pixels()
        # When a stream stalls, the decoder gives what it has held back: an old frame that would pass for a new one.
        return None if time.monotonic() - started >= self._timeout_s else pixels


def open_rtsp(uri: str) -> NetworkStream:
    """An rtsp:// address, with ``?timeout=SECONDS`` for a slow camera. No error shows a password in it."""
    address, options = take_options(uri, ("timeout",))
    return NetworkStream(address, options.get("timeout", TIMEOUT_S))
