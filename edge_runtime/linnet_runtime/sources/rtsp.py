"""Network streams through OpenCV's FFmpeg: rtsp://, and any other stream than MJPEG at http://."""

from __future__ import annotations

import cv2

from linnet_runtime.sources.addresses import take_options, without_secrets
from linnet_runtime.sources.opencv import OpenCvSource, ffmpeg_options

# RTSP over TCP loses no packets. FFmpeg fills the missing part of a frame from the frame before; discardcorrupt drops
# such a frame. The other options keep FFmpeg from collecting a second of frames before the first one.
_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer+discardcorrupt|flags;low_delay"
TIMEOUT_S = 2.0
"""For the connection and for each frame, where the address has no ``timeout=``. OpenCV's own, 30 s, is a camera that
seems to hang."""


def open_rtsp(uri: str) -> OpenCvSource:
    """An rtsp:// address, with ``?timeout=SECONDS`` for a slow camera. No error shows a password in it."""
    address, options = take_options(uri, ("timeout",))
    return open_stream(address, options.get("timeout", TIMEOUT_S))


def open_stream(address: str, timeout_s: float) -> OpenCvSource:
    """Any stream that FFmpeg reads. A connection or a frame that takes longer than ``timeout_s`` counts as lost."""
    timeout_ms = round(timeout_s * 1e3)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]

    def open_capture() -> cv2.VideoCapture:
        with ffmpeg_options(_OPTIONS):
            return cv2.VideoCapture(address, cv2.CAP_FFMPEG, timeouts)

    return OpenCvSource(without_secrets(address), open_capture, live=True, expected="a stream that OpenCV can read")
