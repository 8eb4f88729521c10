"""``watch:FOLDER``: pictures as they are dropped into a folder. Internal."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from pathlib import Path

from linnet_devices.errors import Setting, printable
from linnet_runtime.photos.folder import is_picture_name
from linnet_runtime.preprocess import PICTURE_SUFFIXES
from linnet_runtime.sources.api import NO_FRAME_YET, Frame, NoFrameYet, SourceError
from linnet_runtime.sources.whole_picture import read_whole_picture

logger = logging.getLogger("linnet")

_POLL_S = 0.2  # a file that has not changed for so long is complete
_SHARE = 10  # times as long as a look takes is between two looks: a full folder does not take a core
_WAIT_S = 1.0  # the longest wait in one call of read

_Version = tuple[int, int, int]  # inode, time of the last change and size of a file: its name may change


class WatchedFolder:
    """The pictures that come into a folder after it was opened, each once, in the order in which they came.

    A picture that is written again is a new one; one that is still written is waited for. Those in subfolders and those
    whose name begins with a dot are not read. What is remembered is bounded by the files that are in the folder.
    """

    live, every_frame = True, True

    def __init__(self, folder: Path) -> None:
        """Raises SourceError where the folder cannot be read."""
        self.skipped = 0
        self._folder = folder
        self._ready: deque[tuple[Path, float, float]] = deque()  # with the time at which each was found, on both clocks
        self._growing: dict[_Version, tuple[float, float]] = {}
        self._unread: set[str] = set()
        self._pause_s = _POLL_S
        self._looked = time.monotonic()
        try:
            self._known = set(self._present())
        except OSError as error:
            raise SourceError(f"watch:{folder}", got=error.strerror, expected="a folder") from error

    def read(self) -> Frame | NoFrameYet | None:
        """The next picture; None where the folder is gone."""
        give_up = time.monotonic() + _WAIT_S
        while True:
            while self._ready:
                frame = self._frame(*self._ready.popleft())
                if frame is not None:
                    return frame
            if time.monotonic() >= give_up:
                return NO_FRAME_YET
            time.sleep(max(0.0, self._looked + self._pause_s - time.monotonic()))
            try:
                self._look()
            except OSError:
                return None

    def close(self) -> None:
        """Nothing is open between two pictures."""

    def _look(self) -> None:
        """Finds the pictures that are new and did not change since the last look."""
        self._looked = time.monotonic()
        now = time.time(), self._looked
        present = self._present()
        new = {version: self._growing.get(version, now) for version in present if version not in self._known}
        complete = [version for version in new if version in self._growing]
        complete.sort(key=lambda version: (new[version][1], version[1], present[version]))
        self._ready += ((present[version], *new[version]) for version in complete)
        self._known = {version for version in present if version in self._known or version in self._growing}
        self._growing = {version: found for version, found in new.items() if version not in self._growing}
        self._pause_s = max(_POLL_S, _SHARE * (time.monotonic() - self._looked))

    def _present(self) -> dict[_Version, Path]:
        present = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.name.startswith(".") or not is_picture_name(entry.name):
                    continue
                if path.suffix.lower() not in PICTURE_SUFFIXES:
                    self._name_unread(path)
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:  # it was moved away meanwhile
                    continue
                if entry.is_file():
                    present[status.st_ino, status.st_mtime_ns, status.st_size] = path
        return present

    def _name_unread(self, path: Path) -> None:
        """Warns of the first picture of each format that is not read."""
        suffix = path.suffix.lower()
        if suffix not in self._unread:
            self._unread.add(suffix)
            logger.warning("left out: %s: %s is not read", printable(str(path)), suffix)

    def _frame(self, path: Path, found_at: float, found_monotonic: float) -> Frame | None:
        picture = read_whole_picture(path)
        if picture is None:
            self.skipped += 1
            return None
        return Frame(picture, captured_at=found_at, captured_monotonic=found_monotonic)


def open_watched_folder(uri: str) -> WatchedFolder:
    """``watch:FOLDER``. Raises SourceError where it is no folder."""
    folder = Path(uri.removeprefix("watch:"))
    if uri == "watch:" or not folder.is_dir():
        got = "no folder" if uri == "watch:" else f"{str(folder)!r}, which is no folder"
        raise SourceError(Setting("source"), got=got, expected="watch: and a folder", fix=Setting("source", "watch:in"))
    return WatchedFolder(folder)
