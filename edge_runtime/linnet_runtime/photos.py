"""Labelled photos: folders of classes and tables, and both as arrays of preprocessed pixels.

DATA/CLASS/*.jpg                  one folder a class
DATA/{train,val,test}/CLASS/*     the same, already divided into parts
DATA.csv                          a row a photo; see photo_table.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, Pixels
from linnet_runtime.photo_table import read_table
from linnet_runtime.preprocess import PICTURE_SUFFIXES, PictureError, Preprocess, preprocess, read_picture

PARTS = ("train", "val", "test")
_DECODERS = 4  # OpenCV decodes without holding the interpreter's lock


@dataclass(frozen=True)
class PhotoFile:
    """A photo on the disk. ``part`` is "train", "val" or "test" where DATA says so, else None; ``group`` is what a
    table says of it.
    """

    path: Path
    label: str
    part: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Photos:
    """Preprocessed photos: ``pixels`` uint8 RGB [N, H, W, 3], ``labels`` int64 [N] indices into the model's labels."""

    pixels: Pixels
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.labels):
            raise ValueError(f"{len(self.pixels)} photos and {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)


def list_photos(data: Path, group_column: str | None = None) -> list[PhotoFile]:
    """The photos of a folder, or of a table whose name ends in .csv, sorted by part, class and name, by code point.

    Args:
        data: the folder or the table.
        group_column: the table's column of groups, which must be there; None is ``group``, which need not.

    Raises:
        LinnetError: not a folder, no pictures in folders of classes below it, or what is wrong with the table.
    """
    if data.suffix.lower() == ".csv" and not data.is_dir():
        rows = read_table(data, PARTS, group_column)
        photos = [PhotoFile(row.path, row.label, row.part or None, row.group or None) for row in rows]
        return sorted(photos, key=lambda photo: (PARTS.index(photo.part or PARTS[0]), photo.label, str(photo.path)))
    if group_column is not None:
        raise LinnetError(str(data), got="no table", expected=f"a CSV file with the column {group_column}")
    return _in_folders(data)


def photo_name(photo: PhotoFile, data: Path) -> str:
    """The photo's path relative to DATA, to the folder or to that of the table; whole where it is elsewhere."""
    root = data if data.is_dir() else data.parent
    return (photo.path.relative_to(root) if photo.path.is_relative_to(root) else photo.path).as_posix()


def _in_folders(folder: Path) -> list[PhotoFile]:
    if not folder.is_dir():
        raise LinnetError(
            str(folder),
            got="a file" if folder.exists() else "no such folder",
            expected="a folder with a folder of photos for each class, or a file named .csv",
        )
    parts = [part for part in PARTS if (folder / part).is_dir()]
    divided = bool(parts) and {entry.name for entry in _folders(folder)} <= set(PARTS)
    roots = [(part, folder / part) for part in parts] if divided else [(None, folder)]
    photos = [
        PhotoFile(path, class_folder.name, part)
        for part, root in roots
        for class_folder in _folders(root)
        for path in sorted(class_folder.iterdir(), key=lambda path: path.name)
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    if not photos:
        raise LinnetError(
            str(folder),
            got="no photos in folders of classes",
            expected=f"CLASS/*.jpg ({', '.join(sorted(PICTURE_SUFFIXES))})",
            fix="put each class's photos into a folder with the class's name",
        )
    return photos


def _folders(root: Path) -> list[Path]:
    return sorted((path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")), key=_name)


def _name(path: Path) -> str:
    return path.name


def class_names(photos: Iterable[PhotoFile]) -> tuple[str, ...]:
    """The classes of the photos, sorted by code point: a label's index is its place here."""
    return tuple(sorted({photo.label for photo in photos}))


def decode_photos(
    photos: Iterable[PhotoFile], spec: Preprocess, on_error: Callable[[PhotoFile, PictureError], None]
) -> Iterator[tuple[PhotoFile, Pixels]]:
    """Each readable photo, in order, with its pixels uint8 [H, W, 3]; ``on_error`` hears of each unreadable one."""

    def decode(photo: PhotoFile) -> Pixels | PictureError:
        try:
            return preprocess(read_picture(photo.path), spec, color="bgr")
        except PictureError as error:
            return error

    photos = list(photos)
    with ThreadPoolExecutor(_DECODERS) as pool:
        try:
            for photo, pixels in zip(photos, pool.map(decode, photos), strict=True):
                if isinstance(pixels, PictureError):
                    on_error(photo, pixels)
                else:
                    yield photo, pixels
        finally:
            pool.shutdown(cancel_futures=True)  # ctrl-C must not decode the rest first
