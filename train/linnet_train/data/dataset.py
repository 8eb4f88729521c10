"""The photos of a training: decoded once into a memory map of uint8 pixels, and split into parts."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Pixels
from linnet_runtime.photos.file import PhotoFile, PhotoListing, describe_skipped, shortened
from linnet_runtime.photos.listing import Photos, class_names, decode_photos, find_photos, photo_name
from linnet_runtime.preprocess import PictureError, Preprocess
from linnet_train.data.splits import Indices, check_classes, divide
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Split

_SPLIT = Split()
_LEARNT = (None, "train")  # the parts from which training photos come


@dataclass(frozen=True)
class Dataset:
    """All photos that can be read, and their split into parts."""

    classes: tuple[str, ...]
    """The labels in the order of the network's outputs."""
    pixels: Pixels
    """uint8 RGB [N, H, W, 3], a memory map."""
    labels: NDArray[np.int64]
    """int64 [N], indices into ``classes``."""
    names: tuple[str, ...]
    """The photos' paths relative to DATA."""
    parts: dict[str, Indices]
    """The indices of the photos of train, val and test."""
    unreadable: dict[str, str]
    """The photos that cannot be decoded, by name, with the reason."""
    skipped: dict[str, str] = field(default_factory=dict)
    """The files in DATA that are not read, by name, with the reason; see ``SkippedFile``."""

    def left_out(self) -> list[str]:
        """A line about each kind of file that is left out."""
        lines = []
        if self.unreadable:
            count = len(self.unreadable)
            lines.append(f"{count} photo{'s' * (count != 1)} left out, unreadable: {shortened(list(self.unreadable))}")
        if self.skipped:
            lines.append(describe_skipped(self.skipped.items()))
        return lines

    def names_of(self, part: str) -> list[str]:
        return [self.names[i] for i in self.parts[part]]

    def sample(self, part: str, most: int, seed: int) -> Photos:
        """Up to ``most`` random photos of a part, from the classes in turn, so that small classes are included."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(self.parts[part])
        labels = self.labels[order]
        # The k-th photo of each class comes before any (k+1)-th.
        turn = np.empty(len(order), dtype=np.intp)
        for label in np.unique(labels):
            of_class = np.flatnonzero(labels == label)
            turn[of_class] = np.arange(len(of_class))
        chosen = order[np.argsort(turn, kind="stable")[:most]]
        return Photos(self.pixels[chosen], self.labels[chosen])


def load_dataset(
    data: Path,
    spec: Preprocess,
    seed: int,
    cache: Path,
    on_photo: Callable[[int, int], None],
    split: Split = _SPLIT,
) -> Dataset:
    """Reads labelled photos.

    Args:
        data: DATA/CLASS/*, DATA/{train,val,test}/CLASS/*, DATA.csv or DATA.tsv.
        spec: the model's preprocessing, the same that the device will run.
        seed: the seed of the split.
        cache: the file of the memory map. Only this run needs it, and it may be deleted afterwards.
        on_photo: is called with (photos done, photos in total).
        split: how the photos are split where DATA has no parts.

    Raises:
        LinnetError: as ``find_photos``, ``check_classes`` and ``divide``; a class without any photo that can be read;
            a full disk; or no photo that can be read.
    """
    listing = find_photos(data, split.group_column)
    files = listing.photos
    _check_no_class_is_lost(data, listing, files, {})
    check_classes(data, files, split)
    parts = divide(data, files, split, seed)  # its errors come before the photos are decoded
    read: list[PhotoFile] = []
    unreadable: dict[str, str] = {}

    def leave_out(photo: PhotoFile, error: PictureError) -> None:
        unreadable[photo_name(photo, data)] = str(error.got)
        on_photo(len(read) + len(unreadable), len(files))

    pixels = _new_memory_map(cache, (len(files), spec.height, spec.width, 3))
    for photo, photo_pixels in decode_photos(files, spec, leave_out):
        pixels[len(read)] = photo_pixels
        read.append(photo)
        on_photo(len(read) + len(unreadable), len(files))
    pixels.flush()
    if not read:
        raise TrainingError(str(data), got=f"none of {len(files)} photos can be read", expected="photos")
    if unreadable:
        _check_no_class_is_lost(data, listing, read, unreadable)
        check_classes(data, read, split)
        parts = divide(data, read, split, seed)
    classes = class_names(read)
    index = {name: i for i, name in enumerate(classes)}
    labels = np.array([index[photo.label] for photo in read])
    return Dataset(
        classes=classes,
        pixels=pixels,
        labels=labels,
        names=tuple(photo_name(photo, data) for photo in read),
        parts=parts,
        unreadable=unreadable,
        skipped={photo_name(file, data): file.reason for file in listing.skipped},
    )


def _check_no_class_is_lost(
    data: Path, listing: PhotoListing, read: list[PhotoFile], unreadable: dict[str, str]
) -> None:
    """Raises TrainingError for a class without training photos, so that no class folder is lost silently.

    Args:
        data: the folder or table.
        listing: its photos and the files that are not read.
        read: the photos that can be read.
        unreadable: the photos that cannot be decoded, by name, with the reason.
    """
    folders = {label: folder for (part, label), folder in listing.class_folders.items() if part in _LEARNT}
    photos = [photo for photo in listing.photos if photo.part in _LEARNT]
    remaining = {photo.label for photo in read if photo.part in _LEARNT}
    for label in sorted({*folders, *(photo.label for photo in photos)} - remaining):
        names = [photo_name(photo, data) for photo in photos if photo.label == label]
        reasons = [f"{name} ({unreadable[name]})" for name in names]
        reasons += [
            f"{photo_name(file, data)} ({file.reason})"
            for file in listing.skipped
            if file.label == label and file.part in _LEARNT
        ]
        raise TrainingError(
            str(folders.get(label, f"{data}, {label}")),
            got=f"no photo that can be read: {shortened(reasons)}" if reasons else "an empty folder",
            expected=f"photos of the class {label}",
            fix="convert or replace these files, or move the folder out of DATA; linnet data check names them all"
            if reasons
            else "add photos, or remove the folder",
        )


def _new_memory_map(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A memory map whose space on the disk is reserved: on a full disk, a write to it would end the process."""
    path.unlink(missing_ok=True)  # of an interrupted run
    size, free = math.prod(shape), shutil.disk_usage(path.parent).free
    if size > free:
        raise TrainingError(
            str(path), got=f"{free / 1e9:.3g} GB free", expected=f"{size / 1e9:.3g} GB, for {shape[0]} photos"
        )
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return pixels
