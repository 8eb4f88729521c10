"""Labelled photos: folders of classes and tables, and both as arrays of preprocessed pixels. Internal.

DATA/CLASS/*.jpg, DATA/{train,val,test}/CLASS/*.jpg     folder.py
DATA.csv, DATA.tsv                                      table.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, Pixels
from linnet_devices.chatter import no_chatter
from linnet_devices.errors import printable
from linnet_runtime.photos.file import PARTS, PhotoFile, PhotoListing, SkippedFile
from linnet_runtime.photos.folder import read_folder
from linnet_runtime.photos.table import TABLE_SUFFIXES, read_table
from linnet_runtime.preprocess import PictureError, Preprocess, preprocess, read_picture

_DECODED_TOGETHER = 64
_DECODERS = 4  # OpenCV decodes without holding the interpreter's lock


@dataclass(frozen=True)
class Photos:
    """Preprocessed, labelled photos."""

    pixels: Pixels
    """uint8 RGB [N, H, W, 3]."""
    labels: NDArray[np.int64]
    """int64 [N], indices into the model's labels."""

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.labels):
            raise ValueError(f"{len(self.pixels)} photos and {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)


def list_photos(data: Path, group_column: str | None = None) -> list[PhotoFile]:
    """The photos of a folder or of a table, sorted by part, class and name, by code point; see ``find_photos``."""
    return find_photos(data, group_column).photos


def find_photos(data: Path, group_column: str | None = None) -> PhotoListing:
    """The photos of a folder, or of a table whose name ends in .csv or .tsv, and the files that are not read.

    Args:
        data: the folder or the table.
        group_column: the table's column of groups, which it must have; None is ``group``, which it may have.

    Raises:
        LinnetError: as ``read_folder`` and ``read_table``; or a group column for a folder.
    """
    if data.suffix.lower() in TABLE_SUFFIXES and not data.is_dir():
        rows = read_table(data, group_column)
        return PhotoListing(sorted(rows, key=lambda row: (PARTS.index(row.part or PARTS[0]), row.label, str(row.path))))
    if group_column is not None:
        raise LinnetError(str(data), got="no table", expected=f"a CSV file with the column {group_column}")
    return read_folder(data)


def photo_name(photo: PhotoFile | SkippedFile, data: Path) -> str:
    """The file's path relative to DATA, which is a folder or a table; the whole path where the file lies elsewhere."""
    root = data if data.is_dir() else data.parent
    return printable((photo.path.relative_to(root) if photo.path.is_relative_to(root) else photo.path).as_posix())


def class_names(photos: Iterable[PhotoFile]) -> tuple[str, ...]:
    """The classes of the photos, sorted by code point: a label's index is its place here."""
    return tuple(sorted({photo.label for photo in photos}))


def decode_photos(
    photos: Iterable[PhotoFile], spec: Preprocess, on_error: Callable[[PhotoFile, PictureError], None]
) -> Iterator[tuple[PhotoFile, Pixels]]:
    """Each photo that can be read, in order, with its pixels uint8 [H, W, 3]; ``on_error`` receives the others."""

    def decode(photo: PhotoFile) -> Pixels | PictureError:
        try:
            return preprocess(read_picture(photo.path), spec, color="bgr")
        except PictureError as error:
            return error

    photos = list(photos)
    with ThreadPoolExecutor(_DECODERS) as pool:
        try:
            for start in range(0, len(photos), _DECODED_TOGETHER):
                some = photos[start : start + _DECODED_TOGETHER]
                with no_chatter():  # libjpeg's and libpng's messages, which name no file
                    decoded = list(pool.map(decode, some))
                for photo, pixels in zip(some, decoded, strict=True):
                    if isinstance(pixels, PictureError):
                        on_error(photo, pixels)
                    else:
                        yield photo, pixels
        finally:
            pool.shutdown(cancel_futures=True)  # ctrl-C must not decode the rest first
