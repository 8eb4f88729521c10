"""A folder, a pattern such as ``photos/*.jpg``, or one picture as a source. Internal."""

from __future__ import annotations

import glob
import logging
from pathlib import Path

from linnet_devices.errors import printable
from linnet_runtime.photos.file import describe_skipped
from linnet_runtime.photos.folder import IGNORED_ON_PURPOSE, is_picture_name, pictures_below, unread_reason
from linnet_runtime.preprocess import PICTURE_SUFFIXES
from linnet_runtime.sources.api import Frame, SourceError
from linnet_runtime.sources.whole_picture import read_whole_picture

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
            picture = read_whole_picture(path)
            if picture is not None:
                self._read_any = True
                return Frame(picture)
            self.skipped += 1
        if not self._read_any:
            raise SourceError(self._name, got="no picture that can be read", expected="at least one")
        return None

    def close(self) -> None:
        pass


def open_pictures(uri: str) -> PicturesSource:
    """The pictures of a folder and its subfolders, the pictures that match a pattern, or one picture. One warning names
    the pictures whose format is not read.
    """
    root = Path(uri)
    if root.is_file():
        return PicturesSource(uri, [root])
    if root.is_dir():
        reasons = {path: unread_reason(path, root) for path in sorted(pictures_below(root))}
    else:
        matches = sorted(map(Path, glob.glob(uri, recursive=True)))  # noqa: PTH207  # the whole URI is the pattern
        reasons = {path: unread_reason(path) for path in matches if is_picture_name(path.name)}
    unread = [(printable(str(path)), reason) for path, reason in reasons.items() if reason]
    named = [(name, reason) for name, reason in unread if reason not in IGNORED_ON_PURPOSE]
    paths = [path for path, reason in reasons.items() if reason is None]
    if not paths:
        got = f"no pictures: {describe_skipped(unread)}" if unread else "no pictures"
        raise SourceError(uri, got=got, expected="files " + ", ".join(sorted(PICTURE_SUFFIXES)))
    if named:
        logger.warning("%s", describe_skipped(named))
    return PicturesSource(uri, paths)
