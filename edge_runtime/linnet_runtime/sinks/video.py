"""Video files of the frames with their labels, one series for each camera and region. Internal."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import SinkError, Stream
from linnet_runtime.sinks.pictures import bgr_pixels
from linnet_runtime.sinks.settings import VideoSettings
from linnet_runtime.sources.api import Frame

_CODECS = {".avi": "MJPG", ".mp4": "mp4v"}
_FREE_BYTES = 32_000_000  # OpenCV does not report a full disk
_BAND = 0.08  # of the picture's height, for the label


class Video:
    """Writes each result's picture with its label, its probability and the names of its camera and region."""

    name, pictures = "video", True

    def __init__(self, settings: VideoSettings, stream: Stream) -> None:
        """Makes the folder.

        Raises:
            SinkError: another suffix than .avi or .mp4, a folder that cannot be made, or two series with one name.
        """
        self._path = Path(settings.path)
        if self._path.suffix not in _CODECS:
            raise SinkError("video.path", got=settings.path, expected="NAME.avi or NAME.mp4")
        stems: dict[str, tuple[str, str]] = {}
        for key in ((camera, region) for camera, regions in stream.cameras.items() for region in regions):
            other = stems.setdefault(_stem(self._path, key), key)
            if other != key:
                got = f"{' '.join(other)} and {' '.join(key)} with the file name {_stem(self._path, key)}"
                raise SinkError(settings.path, got=got, expected="different file names", fix="other names of cameras")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(settings.path, got=error.strerror, expected="a folder that can be written") from error
        self._settings = settings
        self._files: dict[tuple[str, str], _Series] = {}

    def write(self, item: Result | Event) -> bool:
        """Adds a frame. A result whose frame was left out, because the disk is too slow, is skipped.

        Raises:
            SinkError: the disk is full, or the file cannot be opened.
        """
        if isinstance(item, Event) or item.picture is None:
            return False
        if shutil.disk_usage(self._path.parent).free < _FREE_BYTES:
            raise SinkError(self._settings.path, got=f"less than {_FREE_BYTES // 1_000_000} MB of free space")
        key = item.camera, item.region
        if key not in self._files:
            self._files[key] = _Series(self._path, key, self._settings)
        self._files[key].add(_drawn(item, item.picture))
        return True

    def close(self) -> None:
        """Ends the files."""
        for series in self._files.values():
            series.end()


class _Series:
    """The numbered files of a camera or a region. A new frame size begins a new file."""

    def __init__(self, path: Path, names: tuple[str, str], settings: VideoSettings) -> None:
        self._folder, self._stem, self._suffix = path.parent, _stem(path, names), path.suffix
        self._fps, self._most_files = settings.fps, settings.files
        self._most_frames = max(1, round(settings.minutes * 60 * settings.fps))
        self._number = max(self._numbers(), default=0)
        self._writer: Any = None
        self._size = (0, 0)
        self._frames = 0

    def add(self, pixels: NDArray[np.uint8]) -> None:
        size = pixels.shape[1], pixels.shape[0]
        if self._writer is None or size != self._size or self._frames >= self._most_frames:
            self._begin(size)
        self._writer.write(pixels)
        self._frames += 1

    def end(self) -> None:
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def _begin(self, size: tuple[int, int]) -> None:
        self.end()
        self._number += 1
        for number in self._numbers():
            if number <= self._number - self._most_files:
                self._file(number).unlink(missing_ok=True)
        path = self._file(self._number)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*_CODECS[self._suffix]), self._fps, size)
        if not writer.isOpened():
            raise SinkError(str(path), got="a video file that cannot be opened", expected="a place that can be written")
        self._writer, self._size, self._frames = writer, size, 0

    def _file(self, number: int) -> Path:
        return self._folder / f"{self._stem}-{number:04d}{self._suffix}"

    def _numbers(self) -> list[int]:
        """The numbers of the files that exist. Others' files of the folder do not have such names."""
        name = re.compile(rf"{re.escape(self._stem)}-(\d{{4,}}){re.escape(self._suffix)}")
        found = (name.fullmatch(path.name) for path in self._folder.iterdir())
        return [int(match[1]) for match in found if match]


def _stem(path: Path, names: tuple[str, str]) -> str:
    """The name of a camera's or a region's files, before their numbers."""
    return "-".join([path.stem, *(re.sub(r"\W", "_", name) for name in names if name)])


def _drawn(result: Result, picture: Frame) -> NDArray[np.uint8]:
    """A copy of the picture with a line of text in a dark band. MPEG-4 needs even sides: odd ones lose a pixel."""
    pixels = bgr_pixels(picture)
    pixels = pixels[: max(2, pixels.shape[0] & ~1), : max(2, pixels.shape[1] & ~1)].copy()
    height = pixels.shape[0]
    band = max(12, round(height * _BAND))
    place = " ".join(filter(None, (result.camera, result.region)))
    text = f"{place + ': ' if place else ''}{result.label} {result.probability:.0%}"
    pixels[:band] //= 3
    scale = band / 36
    origin = (round(band * 0.25), round(band * 0.75))
    cv2.putText(
        pixels, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), max(1, round(scale)), cv2.LINE_AA
    )
    return pixels
