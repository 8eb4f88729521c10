"""``gst:PIPELINE``: a GStreamer pipeline, where OpenCV was built with GStreamer. Internal."""

from __future__ import annotations

import cv2

from linnet_devices.errors import Setting
from linnet_runtime.sources.api import SourceError
from linnet_runtime.sources.opencv import OpenCvSource

_SINK = "videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1"
_FIX = (
    "sudo apt install python3-opencv, and Linnet in a virtual environment with --system-site-packages, without "
    "opencv-python-headless"
)


def open_gstreamer(uri: str) -> OpenCvSource:
    """``gst:PIPELINE``, as ``gst-launch-1.0`` takes it. Without an ``appsink`` it gets one that keeps the newest frame.

    Raises:
        SourceError: OpenCV was built without GStreamer, or the pipeline gives no frame.
    """
    pipeline = uri.removeprefix("gst:").strip()
    if not pipeline:
        example = Setting("source", "gst:v4l2src ! videoconvert")
        raise SourceError(Setting("source"), got=repr(uri), expected="gst: and a GStreamer pipeline", fix=example)
    if not _is_built_in():
        raise SourceError(
            uri, got=f"OpenCV {cv2.__version__} without GStreamer", expected="one that was built with it", fix=_FIX
        )
    if "appsink" not in pipeline:
        pipeline = f"{pipeline.rstrip('! ')} ! {_SINK}"
    return OpenCvSource(
        uri,
        lambda: cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER),
        live=True,
        expected="a pipeline that gives frames",
    )


def _is_built_in() -> bool:
    """OpenCV lists the backend without it too, for a plug-in that may be there."""
    return cv2.CAP_GSTREAMER in cv2.videoio_registry.getStreamBackends() and any(
        line.split(":")[0].strip() == "GStreamer" and "YES" in line for line in cv2.getBuildInformation().splitlines()
    )
