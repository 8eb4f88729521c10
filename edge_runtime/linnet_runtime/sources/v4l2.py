"""V4L2 cameras: USB cameras, and the cameras of most boards. Internal."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.errors import Setting
from linnet_runtime.doctor.cameras import camera_users
from linnet_runtime.doctor.system import System
from linnet_runtime.preprocess import PictureError, decode_picture
from linnet_runtime.sources.addresses import take_options
from linnet_runtime.sources.api import Frame, SourceError
from linnet_runtime.sources.opencv import OpenCvSource
from linnet_runtime.sources.whole_picture import whole_picture

logger = logging.getLogger("linnet")

os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")  # OpenCV's own, 10 s, is a camera that seems to hang
_OPTIONS = ("width", "height", "fps")
_SIZE = (640, 480)
_V4L2_MAJOR = 81  # Linux numbers every V4L2 device so
_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_FEW = 4  # bad reads in a row that are left out; more of them, or longer ones, are a loss
_LONG_S = 1.0
_LATE_S = 10.0  # a frame cannot have waited for longer: its time stamp counts from something else


class V4l2Camera(OpenCvSource):
    """A camera whose compressed frames are decoded here: OpenCV would pass on a half one as a picture."""

    size: tuple[int, int]
    """Width and height that the camera gives, in pixels."""
    fps: float
    """Frames a second that the camera says it gives; 0 where it does not say."""
    compressed: bool
    """Whether the camera gives JPEG pictures (MJPG)."""

    def __init__(self, uri: str, path: Path, options: dict[str, float]) -> None:
        """Raises SourceError where the camera cannot be opened, has no such size or gives no frame."""
        self.skipped = 0
        self._uri = uri
        self._path = path
        self._options = options
        super().__init__(uri, self._open_capture, live=True, expected="frames from a V4L2 camera")

    def _open_capture(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_V4L2)
        if not capture.isOpened():
            return capture
        # MJPG, because raw frames at full rate are too much for USB 2. The format has to be set before the size.
        capture.set(cv2.CAP_PROP_FOURCC, _MJPG)
        wanted = (round(self._options.get("width", _SIZE[0])), round(self._options.get("height", _SIZE[1])))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted[1])
        if "fps" in self._options:
            capture.set(cv2.CAP_PROP_FPS, self._options["fps"])
        self.size = (round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        self.fps = max(0.0, capture.get(cv2.CAP_PROP_FPS))
        self.compressed = int(capture.get(cv2.CAP_PROP_FOURCC)) == _MJPG
        if self.compressed:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        if "width" in self._options and self.size != wanted:
            capture.release()
            raise SourceError(
                self._uri,
                got=f"{self.size[0]} x {self.size[1]} from the camera",
                expected=f"{wanted[0]} x {wanted[1]}",
                fix=f"?width={self.size[0]}&height={self.size[1]}, or another size of v4l2-ctl --list-formats-ext",
            )
        if "fps" in self._options and round(self.fps) != round(self._options["fps"]):
            logger.warning("%s: the camera gives %g frames a second, not %g", self._uri, self.fps, self._options["fps"])
        return capture

    def read(self) -> Frame | None:
        bad, started = 0, time.monotonic()
        while bad <= _FEW and time.monotonic() < started + _LONG_S:
            pixels = self._pixels()
            captured_at, captured_monotonic = self._capture_times()
            picture = None if pixels is None else self._picture(pixels)
            if picture is not None:
                self.skipped += bad
                frame = self._frame(picture)
                return Frame(frame.pixels, frame.color, captured_at, captured_monotonic)
            bad += 1
        return None

    def _picture(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        if not self.compressed or pixels.ndim != 2 or len(pixels) != 1:  # some builds of OpenCV decode nevertheless
            return pixels
        try:
            with whole_picture(self._name):
                return decode_picture(pixels.tobytes(), self._name)
        except PictureError:
            return None

    def _capture_times(self) -> tuple[float, float]:
        """The driver's time stamp of the last frame on both clocks; the present where it has none."""
        now = time.monotonic()
        age = now - self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        if not 0 <= age < _LATE_S:
            age = 0.0
        return time.time() - age, now - age

    def _reason(self) -> tuple[str, str | None]:
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_NONBLOCK))
        except PermissionError:
            return "no permission", "sudo usermod -aG video $USER, then log in again"
        except OSError as error:
            return (error.strerror or str(error)).lower(), None
        if users := camera_users(System(), str(self._path)):
            return f"a camera that {users[0]} uses", f"end it: kill {users[0].split()[-1]}"
        return "no frame", "close other programs that use it, or unplug the camera and plug it in again"


def open_camera(uri: str) -> V4l2Camera:
    """A V4L2 camera: ``0``, ``/dev/video0`` or ``v4l2:///dev/video0``, with ``?width=``, ``height=`` and ``fps=``.

    Without a size it is 640 x 480 where the camera has that.
    """
    plain, options = take_options(uri, _OPTIONS)
    device, question, unknown = plain.removeprefix("v4l2:").removeprefix("//").partition("?")
    if question or ("width" in options) != ("height" in options):
        got = unknown if question else "one of width= and height="
        example = Setting("source", "0?width=1280&height=720&fps=30")
        raise SourceError(Setting("source"), got=got, expected="width= and height= together, or fps=", fix=example)
    path = Path(f"/dev/video{device or '0'}" if (device or "0").isdecimal() else device)
    if not path.exists():
        here = ", ".join(sorted(str(camera) for camera in Path("/dev").glob("video*")))
        raise SourceError(uri, got=f"no {path}", expected=f"one of {here}" if here else "a camera; none is connected")
    if path.is_char_device() and os.major(path.stat().st_rdev) != _V4L2_MAJOR:
        raise SourceError(uri, got="a device that is no camera", expected="one such as /dev/video0")
    return V4l2Camera(uri, path, options)
