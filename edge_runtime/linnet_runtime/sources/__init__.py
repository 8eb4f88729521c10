"""Sources of frames by URI.

0, /dev/video0, v4l2:///dev/video0    a V4L2 camera; 0?width=1280&height=720&fps=30
picamera2://0                         a Raspberry Pi camera
rtsp://…, http(s)://…                 a network stream (RTSP, MJPEG)
gst:PIPELINE                          a GStreamer pipeline
clip.mp4                              a video file
folder/, 'folder/*.jpg', photo.jpg    pictures
watch:folder                          pictures as they are dropped into a folder
synthetic:                            the rendered conveyor belt

A plug-in registers the function that opens its scheme in the entry point group ``linnet.sources``; the group is read
only for a scheme that is not in the table.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import resolve_name

from linnet_devices.errors import Setting, nearest
from linnet_devices.plugin import make_from_plugin
from linnet_runtime.preprocess import PICTURE_SUFFIXES
from linnet_runtime.sources.addresses import without_secrets
from linnet_runtime.sources.api import NO_FRAME_YET, Frame, Source, SourceError

__all__ = ["NO_FRAME_YET", "Frame", "Source", "SourceError", "open_source"]

# From the scheme of a URI to the function that opens it. It is imported on use: a file needs no camera's library.
_SCHEMES = {
    "v4l2": "linnet_runtime.sources.v4l2:open_camera",
    "rtsp": "linnet_runtime.sources.rtsp:open_rtsp",
    "http": "linnet_runtime.sources.http_camera:open_http",
    "https": "linnet_runtime.sources.http_camera:open_http",
    "picamera2": "linnet_runtime.sources.picamera:open_picamera",
    "gst": "linnet_runtime.sources.gstreamer:open_gstreamer",
    "watch": "linnet_runtime.sources.watched_folder:open_watched_folder",
    "synthetic": "linnet_runtime.sources.conveyor:open_conveyor",
}
ENTRY_POINT_GROUP = "linnet.sources"
_MEMBERS = ("live", "every_frame", "skipped", "read", "close")  # of the protocol Source
_VIDEO = "linnet_runtime.sources.video_file:open_video"
_PACED = {
    _VIDEO: "linnet_runtime.sources.video_file:open_paced_video",
    _SCHEMES["synthetic"]: "linnet_runtime.sources.conveyor:open_paced_conveyor",
}
_PICTURES = "linnet_runtime.sources.pictures:open_pictures"
_EXPECTED = "a file, a folder, a camera's number, rtsp://, http://, picamera2://, gst:, watch: or synthetic:"


def open_source(uri: str, *, paced: bool = False) -> Source:
    """Opens a source of frames.

    Args:
        uri: the source; see the module.
        paced: a file gives its frames when they are due, as a camera would, and not as fast as they are used. Live
            sources are the same.

    Raises:
        SourceError: it does not exist, cannot be opened or gives no frame, or it consists of pictures, which have no
            times, and is to be ``paced``; the line has the reason.
    """
    target = _target(uri)
    if isinstance(target, EntryPoint):
        plugin: Source = make_from_plugin(target, "source", _MEMBERS, SourceError, uri)
        return plugin
    if paced and target == _PICTURES:
        raise SourceError(
            uri,
            got="pictures, which have no times",
            expected="a camera or a video, where only the newest frames are classified",
            fix=Setting("policy", "every"),
        )
    target = _PACED.get(target, target) if paced else target
    opener: Callable[[str], Source] = resolve_name(target)
    return opener(uri)


def _target(uri: str) -> str | EntryPoint:
    """Where the code for a URI is. Raises SourceError for a file that does not exist."""
    scheme, separator, _ = uri.partition(":")
    if separator and scheme in _SCHEMES:
        return _SCHEMES[scheme]
    if uri.partition("?")[0].isdecimal() or uri.startswith("/dev/video"):
        return _SCHEMES["v4l2"]
    path = Path(uri)
    try:
        if uri and path.is_dir():  # an empty path is the working directory
            return _PICTURES
        if path.is_file():
            return _PICTURES if path.suffix.lower() in PICTURE_SUFFIXES else _VIDEO
    except OSError as error:
        raise SourceError(f"the source {uri}", got=error.strerror, expected=_EXPECTED) from error
    plugins = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)} if separator else {}
    if scheme in plugins:
        return plugins[scheme]
    near = nearest(scheme, [*_SCHEMES, *plugins]) if separator else []
    if "://" in uri or near:
        raise SourceError(
            Setting("source"),
            got=repr(without_secrets(uri)),
            expected=_EXPECTED,
            fix=f"write {near[0]}:" if near else "download the file, and give its path",
        )
    if glob.has_magic(uri):
        return _PICTURES
    exists = os.path.lexists(uri)
    raise SourceError(
        Setting("source"),
        got=f"{uri!r}, which " + ("is neither a regular file nor a folder" if exists else "does not exist"),
        expected=_EXPECTED,
        fix="check the path; linnet doctor lists the cameras",
    )
