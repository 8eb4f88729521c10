"""A Raspberry Pi camera through picamera2, which apt installs (python3-picamera2) and pip does not. Internal."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.closable import Closable
from linnet_devices.errors import Setting
from linnet_runtime.sources.api import Frame, SourceError

_SIZE = (640, 480)
_TIMEOUT_S = 2.0  # a sensor whose cable is loose gives no frame, and no error
_TO_BGR = {"YUV420": cv2.COLOR_YUV2BGR_I420, "NV12": cv2.COLOR_YUV2BGR_NV12}
_APT = "sudo apt install python3-picamera2, and a virtual environment made with --system-site-packages"


class PicameraSource(Closable):
    """The low-resolution stream of the camera. It is YUV420 on every Pi, because the Pi 4 and older have nothing else
    there; cameras that are no Pi's may give NV12 instead. Its rows are padded: they are converted first, and then cut
    to the width. The conversion reads the camera's buffer itself and makes the only copy; each buffer goes back to the
    camera before the next one is asked for.
    """

    live, every_frame = True, False
    skipped = 0

    def __init__(self, camera: Any, mapped_array: Any) -> None:
        """Takes a ``Picamera2`` and the class ``MappedArray``."""
        self._camera = camera
        self._mapped_array = mapped_array
        try:
            configuration = camera.create_video_configuration(
                main={"size": _SIZE}, lores={"size": _SIZE, "format": "YUV420"}, buffer_count=4
            )
            camera.configure(configuration)
            # The camera may have changed the configuration without an error.
            stream = camera.camera_configuration()["lores"]
            self._width, self._height = stream["size"]
            if stream["format"] not in _TO_BGR:
                raise SourceError("picamera2", got=f"a {stream['format']} stream", expected=" or ".join(_TO_BGR))
            self._to_bgr = _TO_BGR[stream["format"]]
            camera.start()
        except Exception:
            camera.close()  # otherwise it stays in use and cannot be opened again
            raise
        self._opened()

    def read(self) -> Frame | None:
        try:
            request = self._camera.capture_request(wait=_TIMEOUT_S)
        except TimeoutError:
            self._camera.cancel_all_and_flush()  # otherwise stopping waits behind this request for ever
            return None
        try:
            with self._mapped_array(request, "lores", write=False) as planes:
                padded: NDArray[np.uint8] = cv2.cvtColor(planes.array, self._to_bgr)
            taken_ns = request.get_metadata().get("SensorTimestamp")
        finally:
            request.release()
        pixels = padded[: self._height, : self._width]
        # The sensor's clock counts from boot, as the monotonic clock does on Linux.
        age = max(0.0, time.monotonic() - taken_ns / 1e9) if taken_ns is not None else 0.0
        return Frame(pixels, captured_at=time.time() - age, captured_monotonic=time.monotonic() - age)

    def _release(self) -> None:
        self._camera.stop()
        self._camera.close()


def open_picamera(uri: str) -> PicameraSource:
    """``picamera2://0``: the camera of that number."""
    number = uri.removeprefix("picamera2:").removeprefix("//") or "0"
    if not number.isdecimal():
        raise SourceError(
            Setting("source"), got=repr(uri), expected="picamera2://NUMBER", fix=Setting("source", "picamera2://0")
        )
    try:
        from picamera2 import MappedArray, Picamera2
    except ImportError as error:
        raise SourceError(uri, got=str(error), expected="the package picamera2", fix=_APT) from error
    try:
        return PicameraSource(Picamera2(int(number)), MappedArray)
    except (RuntimeError, IndexError) as error:
        raise SourceError(uri, got=str(error), expected="a camera that no other program uses") from error
