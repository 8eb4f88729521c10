"""Labelled photos: folders of classes, tables, the photos that a run keeps, and all as arrays of preprocessed pixels.

DATA/CLASS/*.jpg                  one folder a class
DATA/{train,val,test}/CLASS/*     the same, already divided into parts
DATA.csv                          a row a photo; see photo_table.py
RUN/photos.npz                    what a run keeps, so that nothing later needs DATA
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, Pixels
from linnet_runtime.files import NPZ_ERRORS, write_whole
from linnet_runtime.photo_table import read_table
from linnet_runtime.preprocess import PICTURE_SUFFIXES, PictureError, Preprocess, preprocess, read_picture

logger = logging.getLogger("linnet")

PARTS = ("train", "val", "test")
RUN_PHOTOS = "photos.npz"
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


def load_labelled_photos(data: Path, labels: tuple[str, ...], spec: Preprocess) -> Photos:
    """The photos that a model is judged by: a run's validation photos, or a folder's (its test part where it has one).

    Unreadable photos are left out with a warning each.

    Raises:
        LinnetError: no photos, a class that the model does not know, or a run made for another size.
    """
    if (data / RUN_PHOTOS).is_file():
        return load_run_photos(data, spec)["val"]
    files = list_photos(data)
    if any(file.part == "test" for file in files):
        files = [file for file in files if file.part == "test"]
    unknown = set(class_names(files)) - set(labels)
    if unknown:
        raise LinnetError(str(data), got="classes " + ", ".join(sorted(unknown)), expected="only " + ", ".join(labels))
    decoded = list(decode_photos(files, spec, lambda _, error: logger.warning("left out: %s", error)))
    if not decoded:
        raise LinnetError(str(data), got="no photo that can be read", expected="at least one")
    index = {label: i for i, label in enumerate(labels)}
    return Photos(np.stack([pixels for _, pixels in decoded]), np.array([index[file.label] for file, _ in decoded]))


def save_run_photos(run: Path, spec: Preprocess, parts: dict[str, Photos]) -> None:
    """Writes ``RUN/photos.npz``: a few photos of each part, preprocessed, with their labels."""
    arrays: dict[str, NDArray[np.uint8] | NDArray[np.int64]] = {}
    for part, photos in parts.items():
        arrays |= {f"{part}_pixels": photos.pixels, f"{part}_labels": photos.labels}
    arrays["preprocess"] = np.frombuffer(msgspec.json.encode(spec), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its stub reads the keywords as allow_pickle
    write_whole(run / RUN_PHOTOS, buffer.getvalue())


def load_run_photos(run: Path, spec: Preprocess | None = None) -> dict[str, Photos]:
    """The photos of ``RUN/photos.npz`` by part. Raises LinnetError where they were preprocessed other than ``spec``."""
    path = run / RUN_PHOTOS
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = json.loads(arrays["preprocess"].tobytes())
            photos = {
                name.removesuffix("_pixels"): Photos(arrays[name], arrays[name.replace("_pixels", "_labels")])
                for name in arrays.files
                if name.endswith("_pixels")
            }
    except NPZ_ERRORS as error:
        raise LinnetError(str(path), got=str(error), expected="the photos that a run keeps") from error
    if spec is not None and kept != msgspec.to_builtins(spec):
        raise LinnetError(str(path), got=f"photos preprocessed as {kept}", expected=str(msgspec.to_builtins(spec)))
    return photos
