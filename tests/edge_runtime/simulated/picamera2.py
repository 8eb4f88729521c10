"""Simulated: the part of picamera2's API that a camera source needs, strict where the real one fails on a Pi.

It refuses stream keys that picamera2 does not know, calls in another order, a request that is released twice or while
its buffer is mapped, and more requests than there are buffers. A buffer is filled again as soon as it is released, and
what is mapped without ``write`` cannot be written. Rows are padded, as on a Pi. No camera is behind it.
"""

from __future__ import annotations

import time

import cv2
import numpy as np

CAMERAS = 1
PADDING = 64  # bytes at the end of each row
SENSOR_LAG_NS = 5_000_000_000  # how long ago each frame was taken
GIVEN_FORMAT = ""  # what the camera gives whatever was asked for, where it is not empty
FAIL_ON_START = False
STALLED = False  # no frame comes, as with a loose cable
opened = []


class Picamera2:
    def __init__(self, camera_num=0):
        if camera_num >= CAMERAS:
            raise IndexError("list index out of range")
        if any(camera.state != "closed" for camera in opened):
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self.state = "open"
        self.outstanding = 0
        self._waiting = False
        self._configuration = None
        opened.append(self)

    def create_video_configuration(self, main=None, lores=None, raw=None, buffer_count=6, controls=None, queue=True):
        for stream in (main, lores, raw):
            for key in stream or {}:
                if key not in ("size", "format", "preserve_ar"):
                    raise RuntimeError(f"Bad key {key!r} in stream configuration")
        return {
            "use_case": "video",
            "main": {"format": "XBGR8888", **main},
            "lores": dict(lores),
            "buffer_count": buffer_count,
        }

    def configure(self, camera_config):
        assert self.state == "open", "Camera must be stopped before configuring"
        width, height = camera_config["lores"]["size"]
        assert width % 2 == height % 2 == 0, "lores stream has odd sides"
        if width > camera_config["main"]["size"][0] or height > camera_config["main"]["size"][1]:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        self._configuration = camera_config
        if GIVEN_FORMAT:
            self._configuration["lores"]["format"] = GIVEN_FORMAT
        self.state = "configured"

    def camera_configuration(self):
        assert self.state in ("configured", "started")
        return self._configuration

    def start(self):
        assert self.state == "configured", "Camera has not been configured"
        if FAIL_ON_START:
            raise RuntimeError("Failed to start camera: Broken pipe")
        self.state = "started"

    def capture_request(self, wait=None):
        assert self.state == "started", "Camera has not been started"
        if STALLED:
            self._waiting = True
            assert wait, "this waits for ever"
            raise TimeoutError
        assert self.outstanding < self._configuration["buffer_count"], "all buffers are held: the camera has stalled"
        self.outstanding += 1
        return CompletedRequest(self)

    def cancel_all_and_flush(self):
        self._waiting = False

    def stop(self):
        assert not self._waiting, "stopping waits for ever behind a request"
        assert self.outstanding == 0, "stopped while a request was held"
        self.state = "configured"

    def close(self):
        self.state = "closed"


class CompletedRequest:
    def __init__(self, camera):
        self._camera = camera
        self._held = True
        self._mapped = False
        width, height = camera.camera_configuration()["lores"]["size"]
        padded = np.zeros((height, width + PADDING, 3), np.uint8)
        padded[:, :width] = scene(height, width)
        self._buffer = cv2.cvtColor(padded, cv2.COLOR_BGR2YUV_I420)

    def get_metadata(self):
        assert self._held
        return {"SensorTimestamp": time.monotonic_ns() - SENSOR_LAG_NS, "ExposureTime": 10_000}

    def release(self):
        assert self._held, "released twice"
        assert not self._mapped, "released while its buffer is mapped"
        self._held = False
        self._buffer[:] = 77  # the next frame
        self._camera.outstanding -= 1


class MappedArray:
    def __init__(self, request, stream, reshape=True, write=True):
        assert request._held, "the request was released: its buffer belongs to the camera"
        assert stream == "lores"
        assert reshape
        self._request, self._write = request, write
        self.array = None

    def __enter__(self):
        self._request._mapped = True
        self.array = self._request._buffer.view()
        self.array.flags.writeable = self._write
        return self

    def __exit__(self, *_):
        self._request._mapped = False
        del self.array


def scene(height, width):
    """What stands before the camera: blue to the left, red to the right; uint8 [H, W, 3], BGR."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 0] = 200
    picture[:, width // 2 :, 2] = 200
    return picture
