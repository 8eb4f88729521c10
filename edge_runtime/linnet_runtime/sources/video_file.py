"""Video files: every frame as fast as frames are used, or paced by their timestamps. Internal."""

from __future__ import annotations

import time

import cv2

from linnet_runtime.sources.api import NO_FRAME_YET, Frame, NoFrameYet
from linnet_runtime.sources.opencv import OpenCvSource, ffmpeg_options

# FFmpeg fills the missing part of a frame from the frame before; discardcorrupt drops such a frame.
_OPTIONS = "fflags;discardcorrupt"
_LONGEST_WAIT_S = 1.0


class PacedVideo(OpenCvSource):
    """A video file that is played: each frame comes when it is due, as from a camera.

    The frame's capture time is the time at which it was due, also where decoding was slower.
    """

    _held: Frame | None = None
    _timestamp = 0.0  # of the last frame in seconds
    _started: tuple[float, float] | None = None  # when the timestamp 0 was due, on both clocks

    def read(self) -> Frame | NoFrameYet | None:
        if self._held is None:
            frame = super().read()
            if not isinstance(frame, Frame):
                return frame
            self._held = self._with_due_time(frame)
        frame = self._held
        wait = frame.captured_monotonic - time.monotonic()
        time.sleep(min(max(0.0, wait), _LONGEST_WAIT_S))
        if wait > _LONGEST_WAIT_S:
            return NO_FRAME_YET
        self._held = None
        return frame

    def _with_due_time(self, frame: Frame) -> Frame:
        timestamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        if self._started is None:
            self._started = frame.captured_at - timestamp, frame.captured_monotonic - timestamp
        elif timestamp <= self._timestamp:  # a container without timestamps
            timestamp = self._timestamp + 1 / max(1.0, self._capture.get(cv2.CAP_PROP_FPS))
        self._timestamp = timestamp
        at, monotonic = self._started
        return Frame(frame.pixels, frame.color, at + timestamp, monotonic + timestamp)


def open_video(uri: str) -> OpenCvSource:
    """A video file that gives every frame, as fast as frames are used."""
    return _open(uri, OpenCvSource)


def open_paced_video(uri: str) -> OpenCvSource:
    """A video file that gives its frames at the times of its timestamps."""
    return _open(uri, PacedVideo)


def _open(uri: str, kind: type[OpenCvSource]) -> OpenCvSource:
    def open_capture() -> cv2.VideoCapture:
        with ffmpeg_options(_OPTIONS):
            return cv2.VideoCapture(uri, cv2.CAP_ANY)

    return kind(uri, open_capture, live=False, expected="a video that OpenCV can read")
