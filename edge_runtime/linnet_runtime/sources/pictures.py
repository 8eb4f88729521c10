"""A folder, a glob or one picture as a source."""

from __future__ import annotations

import glob
import logging
from pathlib import Path

from linnet_runtime.preprocess import PICTURE_SUFFIXES, PictureError, read_picture
from linnet_runtime.sources.api import Frame, SourceError

logger = logging.getLogger("linnet")


class PicturesSource:
    """Pictures in the order of their names; one that cannot be read is left out with a warning."""

    live = False

    def __init__(self, paths: list[Path]) -> None:
        self._paths = iter(paths)

    def read(self) -> Frame | None:
        for path in self._paths:
            try:
                return Frame(read_picture(path))
            except PictureError as error:
                logger.warning("left out: %s", error)
        return None

    def close(self) -> None:
        pass


def open_pictures(uri: str) -> PicturesSource:
    """The pictures of a folder and of the folders below it, of a glob, or one picture."""
    found = Path(uri).rglob("*") if Path(uri).is_dir() else map(Path, glob.glob(uri, recursive=True))  # noqa: PTH207  # the whole URI is the pattern
    paths = sorted(path for path in found if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not paths:
        raise SourceError(uri, got="no pictures", expected="files " + ", ".join(sorted(PICTURE_SUFFIXES)))
    return PicturesSource(paths)
