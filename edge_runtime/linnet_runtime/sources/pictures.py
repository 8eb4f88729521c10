"""A folder, a pattern such as ``photos/*.jpg``, or one picture as a source. Internal."""

from __future__ import annotations

import glob
import logging
from pathlib import Path

from linnet_runtime.preprocess import PICTURE_SUFFIXES, PictureError, read_picture
from linnet_runtime.sources.api import Frame, SourceError
from linnet_runtime.sources.whole_picture import whole_picture

logger = logging.getLogger("linnet")


class PicturesSource:
    """Pictures in the order of their paths. One that cannot be read is left out with a warning; if none can be read,
    that is an error.
    """

    live, every_frame = False, True

    def __init__(self, name: str, paths: list[Path]) -> None:
        self._name = name
        self._paths = iter(paths)
        self._read_any = False
        self.skipped = 0

    def read(self) -> Frame | None:
        for path in self._paths:
            try:
                with whole_picture(str(path)):
                    picture = read_picture(path)
            except PictureError as error:
                self.skipped += 1
                logger.warning("left out: %s", error)
            else:
                self._read_any = True
                return Frame(picture)
        if not self._read_any:
            raise SourceError(self._name, got="no picture that can be read", expected="at least one")
        return None

    def close(self) -> None:
        pass


def open_pictures(uri: str) -> PicturesSource:
    """The pictures of a folder and its subfolders, the pictures that match a pattern, or one picture."""
    root = Path(uri)
    if root.is_file():
        return PicturesSource(uri, [root])
    found = root.rglob("*") if root.is_dir() else map(Path, glob.glob(uri, recursive=True))  # noqa: PTH207  # the whole URI is the pattern
    paths = sorted(path for path in found if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not paths:
        raise SourceError(uri, got="no pictures", expected="files " + ", ".join(sorted(PICTURE_SUFFIXES)))
    return PicturesSource(uri, paths)
