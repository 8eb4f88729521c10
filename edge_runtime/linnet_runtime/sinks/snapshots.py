"""Uncertain and changed frames as pictures in a folder for each label, ready to be sorted and trained on. Internal.

Pictures are numbered, and the numbers are their order: a clock that is set back changes nothing. Only files with such
names are counted and removed; what else is in the folder stays.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.files.folders import write_whole
from linnet_runtime.perceptual_hash import NEAR, SIDE, color_grid, perceptual_hashes, same_colors
from linnet_runtime.preprocess import Preprocess, preprocess
from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import SinkError, Stream
from linnet_runtime.sinks.pictures import jpeg
from linnet_runtime.sinks.settings import SnapshotSettings
from linnet_runtime.sources.api import Frame

_NAME = re.compile(r"(\d{8})_\d{8}T\d{6}\.jpg")
_COMPARED = Preprocess(height=SIDE, width=SIDE, crop="stretch")
_REMEMBERED = 256  # the newest pictures of a label, with which a new one is compared
_QUALITY = 95  # it may be trained on


@dataclass(frozen=True)
class _Look:
    """What is compared of two pictures."""

    hash: NDArray[np.uint8]
    """uint8 [32]."""
    colors: NDArray[np.int16]
    """int16 [8, 8, 3]."""

    def is_near(self, other: _Look) -> bool:
        bits = int(np.unpackbits(self.hash ^ other.hash).sum())
        return bits <= NEAR and bool(same_colors(self.colors, other.colors))


class Snapshots:
    """Keeps at most so many pictures and megabytes: the oldest one goes. A picture that looks like one of the same
    label is not kept again.
    """

    name, pictures = "snapshots", True

    def __init__(self, settings: SnapshotSettings, _stream: Stream) -> None:
        """Makes the folder, and finds the pictures of earlier runs.

        Raises:
            SinkError: the folder cannot be made or read.
        """
        self._settings, self._folder = settings, Path(settings.folder)
        self._most_bytes = int(settings.max_mb * 1e6)
        self._kept: OrderedDict[Path, int] = OrderedDict()  # oldest first, with their sizes
        self._looks: dict[str, OrderedDict[Path, _Look]] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            found = [path for path in self._folder.glob("*/*.jpg") if _NAME.fullmatch(path.name)]
            for path in sorted(found, key=lambda path: path.name):
                self._kept[path] = path.stat().st_size
        except OSError as error:
            raise SinkError(settings.folder, got=error.strerror, expected="a folder that can be written") from error
        self._number = max((int(path.name[:8]) for path in self._kept), default=0)

    def write(self, item: Result | Event) -> bool:
        """Keeps the frame of an uncertain result or of an event. Raises SinkError where it cannot be written."""
        if isinstance(item, Event):
            wanted, frame, label = self._settings.changes, item.frame, item.label or item.previous
        else:
            wanted, frame, label = item.probability < self._settings.below, item.picture, item.label
        if not wanted or frame is None:
            return False
        folder = _folder_name(label or "none")
        look = _look(frame)
        if any(look.is_near(other) for other in self._remembered(folder).values()):
            return False
        self._keep(frame, folder, look)
        return True

    def close(self) -> None:
        pass

    def _keep(self, frame: Frame, folder: str, look: _Look) -> None:
        data = jpeg(frame, quality=_QUALITY)
        try:
            self._make_room(len(data))
            self._number += 1
            taken = time.strftime("%Y%m%dT%H%M%S", time.gmtime(frame.captured_at))
            path = self._folder / folder / f"{self._number:08d}_{taken}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            raise SinkError(self._settings.folder, got=error.strerror) from error
        self._kept[path] = len(data)
        looks = self._looks[folder]
        looks[path] = look
        if len(looks) > _REMEMBERED:
            looks.popitem(last=False)

    def _make_room(self, size: int) -> None:
        """Removes the oldest pictures. Some may have gone already: to be sorted is what they are for."""
        while self._kept and (
            len(self._kept) >= self._settings.max_files or sum(self._kept.values()) + size > self._most_bytes
        ):
            path, _ = self._kept.popitem(last=False)
            path.unlink(missing_ok=True)
            if path.parent.name in self._looks:
                self._looks[path.parent.name].pop(path, None)

    def _remembered(self, folder: str) -> OrderedDict[Path, _Look]:
        """The looks of a label's newest pictures; at first of those of earlier runs."""
        if folder not in self._looks:
            looks = self._looks[folder] = OrderedDict()
            for path in [path for path in self._kept if path.parent.name == folder][-_REMEMBERED:]:
                pixels = cv2.imread(str(path))
                if pixels is not None:  # it has gone, or is damaged
                    looks[path] = _look(Frame(pixels))
        return self._looks[folder]


def _look(frame: Frame) -> _Look:
    pixels = preprocess(frame.pixels, _COMPARED, color=frame.color)
    return _Look(perceptual_hashes(pixels)[0], color_grid(pixels).astype(np.int16))


def _folder_name(label: str) -> str:
    """A label as the name of a folder, which is neither hidden nor elsewhere."""
    return re.sub(r"[/\\\0]", "_", label).lstrip(".")[:100] or "_"
