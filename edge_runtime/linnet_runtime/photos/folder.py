"""Labelled photos in folders, as people have them:

DATA/CLASS/*.jpg            one folder for each class
DATA/PART/CLASS/*.jpg       already divided; PART is train, val or test, or a name such as Training or valid

Hidden folders and those that systems make (__MACOSX, @eaDir) are no classes. Every file that looks like a photo and is
not read is listed with the reason.

Internal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from linnet_devices.api import LinnetError
from linnet_runtime.files.folders import is_utf8
from linnet_runtime.photos.file import (
    PARTS,
    PhotoFile,
    PhotoListing,
    SkippedFile,
    label_named,
    part_named,
)
from linnet_runtime.preprocess import PICTURE_SUFFIXES

# Formats of photos that people have, beside those that are read.
_OTHER_PICTURES = frozenset(
    {".arw", ".avif", ".cr2", ".cr3", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jxl", ".mpo", ".nef"}
)
_SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"})
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "icon\r"})
_HIDDEN = "in a hidden or system folder"
_HIDDEN_FILE = "a hidden file"
_TOO_DEEP = "in a folder within a class's folder"
_NO_CLASS = "in no class's folder"
_NO_PART = "in no part's folder"
_NOT_REGULAR = "not a regular file"
IGNORED_ON_PURPOSE = frozenset({_HIDDEN, _HIDDEN_FILE})
"""The reasons of files that users do not mean to be read."""


def read_folder(folder: Path) -> PhotoListing:
    """The photos of a folder, and the files in it that are not read.

    Raises:
        LinnetError: not a folder or one that cannot be read, no photos in folders of classes, two folders of one part,
            or a class folder whose name is not UTF-8.
    """
    if not folder.is_dir():
        raise LinnetError(
            str(folder),
            got="a file" if folder.exists() else "no such folder",
            expected="a folder with a folder of photos for each class, or a table named .csv or .tsv",
            fix="a table needs such a name" if folder.is_file() else "check the path",
        )
    listing = PhotoListing([])
    parts = _parts(folder)
    if parts:
        part_folders = set(parts.values())
        _skip_outside(folder, listing, part_folders, _NO_PART)
        for part in PARTS:
            if part in parts:
                _read_classes(parts[part], part, listing)
    else:
        _read_classes(folder, None, listing)
    if not listing.photos:
        raise _no_photos(folder, listing)
    return listing


def unread_reason(picture: Path, folder: Path | None = None) -> str | None:
    """Why a picture below ``folder`` is not read, where nothing depends on its class; None where it is read."""
    if folder is not None and any(map(_is_system, picture.relative_to(folder).parents)):
        return _HIDDEN
    if picture.name.startswith("."):
        return _HIDDEN_FILE
    suffix = picture.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        return f"{suffix} is not read"
    return None if picture.is_file() else _NOT_REGULAR


def _parts(folder: Path) -> dict[str, Path]:
    """The folders of the parts; empty where DATA is not divided."""
    folders = [path for path in _entries(folder) if path.is_dir() and not _is_system(path)]
    named = [(part, path) for path in folders if (part := part_named(path.name)) is not None]
    # "test" may be a class: it is a part where it holds folders and no photos of its own.
    if len(named) < len(folders) and not any(_holds_classes(path) for _, path in named):
        return {}
    parts: dict[str, Path] = {}
    for part, path in named:
        if part in parts:
            raise LinnetError(
                str(folder), got=f"the folders {parts[part].name} and {path.name}", expected=f"one for the part {part}"
            )
        parts[part] = path
    return parts


def _holds_classes(folder: Path) -> bool:
    entries = [path for path in _entries(folder) if not _is_system(path)]
    return any(path.is_dir() for path in entries) and not any(_is_photo(path) for path in entries)


def _read_classes(root: Path, part: str | None, listing: PhotoListing) -> None:
    """Adds the photos of the class folders in ``root``, sorted by class and name."""
    folders = [path for path in _entries(root) if path.is_dir() and not _is_system(path)]
    for folder in folders:
        if not is_utf8(folder.name):
            raise LinnetError(
                str(folder),
                got="a folder name that is not UTF-8",
                expected="UTF-8, because the name is the class's label",
                fix="rename the folder",
            )
    _skip_outside(root, listing, set(folders), _NO_CLASS)
    # Sorted again: NFC may change the order, and the two spellings of one class have to stand together.
    for label, folder in sorted((label_named(folder.name), folder) for folder in folders):
        listing.class_folders.setdefault((part, label), folder)
        for path in _entries(folder):
            if _is_photo(path):
                listing.photos.append(PhotoFile(path, label, part))
            else:
                listing.skipped.extend(_skip_in_class(path, part, label))


def _skip_in_class(path: Path, part: str | None, label: str) -> Iterator[SkippedFile]:
    """An entry of a class folder that is no photo."""
    if path.is_dir():
        reason = _HIDDEN if _is_system(path) else _TOO_DEEP
        yield from (SkippedFile(picture, reason, part, label) for picture in pictures_below(path))
    elif path.name.startswith("."):
        if is_picture_name(path.name):
            yield SkippedFile(path, _HIDDEN_FILE, part, label)
    elif path.name.lower() not in _SYSTEM_FILES:
        suffix = path.suffix.lower()
        reason = f"{suffix} is not read" if suffix else "no suffix"
        yield SkippedFile(path, _NOT_REGULAR if suffix in PICTURE_SUFFIXES else reason, part, label)


def _skip_outside(root: Path, listing: PhotoListing, known: set[Path], reason: str) -> None:
    """Adds the pictures that lie in ``root`` itself or in a folder of it that is not one of the ``known``."""
    for path in _entries(root):
        if path in known:
            continue
        if path.is_dir():
            why = _HIDDEN if _is_system(path) else reason
            listing.skipped.extend(SkippedFile(picture, why) for picture in pictures_below(path))
        elif is_picture_name(path.name):
            listing.skipped.append(SkippedFile(path, _HIDDEN_FILE if path.name.startswith(".") else reason))


def _no_photos(folder: Path, listing: PhotoListing) -> LinnetError:
    fix = "put each class's photos into a folder with the class's name"
    deep = next((file.path for file in listing.skipped if file.reason in (_TOO_DEEP, _NO_PART)), None)
    if deep is not None and len(deep.relative_to(folder).parts) > 2:
        root = deep.parent.parent  # DATA/photos/CLASS/1.jpg, or DATA/photos/train/CLASS/1.jpg
        fix = f"give the folder that holds the classes or parts, {root.parent if part_named(root.name) else root}"
    elif listing.skipped:
        file = listing.skipped[0]
        fix += f"; {file.path.relative_to(folder)} is not read: {file.reason}"
    return LinnetError(
        str(folder),
        got="no photos in folders of classes",
        expected=f"CLASS/*.jpg ({', '.join(sorted(PICTURE_SUFFIXES))})",
        fix=fix,
    )


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, by name. Raises LinnetError where it cannot be read."""
    try:
        return sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise LinnetError(
            str(folder), got=error.strerror or str(error), expected="a folder that can be read"
        ) from error


def pictures_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and its subfolders whose names are those of pictures, whether they are read or not."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(names) if is_picture_name(name))


def _is_system(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name.casefold() in _SYSTEM_FOLDERS


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def is_picture_name(name: str) -> bool:
    """Whether a file's name ends as that of a picture, in a format that is read or in another."""
    return Path(name).suffix.lower() in PICTURE_SUFFIXES | _OTHER_PICTURES
