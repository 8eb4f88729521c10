"""Sources of frames by URI.

0, /dev/video0, v4l2:///dev/video0    a V4L2 camera
picamera2://0                         a Raspberry Pi camera
rtsp://…, http(s)://…                 a network stream (RTSP, MJPEG)
clip.mp4                              a video file
folder/, 'folder/*.jpg', photo.jpg    pictures
synthetic:                            the rendered conveyor belt
"""

from __future__ import annotations

import glob
import importlib
from collections.abc import Callable
from pathlib import Path

from linnet_runtime.preprocess import PICTURE_SUFFIXES
from linnet_runtime.sources.api import Frame, Source, SourceError

__all__ = ["Frame", "Source", "SourceError", "open_source"]

# The scheme of a URI -> where its source is; imported on use, so that a file needs no camera's library.
_SCHEMES = {
    "v4l2": "linnet_runtime.sources.opencv:open_camera",
    "rtsp": "linnet_runtime.sources.opencv:open_stream",
    "http": "linnet_runtime.sources.opencv:open_stream",
    "https": "linnet_runtime.sources.opencv:open_stream",
    "file": "linnet_runtime.sources.opencv:open_video",
    "pictures": "linnet_runtime.sources.pictures:open_pictures",
    "picamera2": "linnet_runtime.sources.picamera:open_picamera",
    "synthetic": "linnet_runtime.sources.conveyor:open_conveyor",
}


def open_source(uri: str) -> Source:
    """Opens a source. Raises SourceError where it does not exist or gives no frame."""
    module, _, function = _SCHEMES[_scheme(uri)].partition(":")
    opener: Callable[[str], Source] = getattr(importlib.import_module(module), function)
    return opener(uri)


def _scheme(uri: str) -> str:
    """The key of ``_SCHEMES`` that opens the URI. Raises SourceError for a file that is not there."""
    scheme, separator, _ = uri.partition(":")
    if separator and scheme in _SCHEMES and scheme not in ("file", "pictures"):
        return scheme
    if uri.isdecimal() or uri.startswith("/dev/video"):
        return "v4l2"
    path = Path(uri)
    if path.is_dir() or (path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()) or glob.has_magic(uri):
        return "pictures"
    if path.is_file():
        return "file"
    if "://" in uri:
        raise SourceError("--source", got=repr(uri), expected="a scheme of " + ", ".join(sorted(_SCHEMES)))
    raise SourceError(
        "--source",
        got=f"{uri!r}, which is not here",
        expected="a file, a folder, a camera's number, rtsp://, http://, picamera2:// or synthetic:",
    )
