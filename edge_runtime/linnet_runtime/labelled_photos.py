"""The labelled photos that a model is evaluated on, from a run or from a folder. Internal."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from linnet_devices.errors import LinnetError
from linnet_runtime import run_files
from linnet_runtime.photos.file import PhotoListing, describe_skipped, label_named
from linnet_runtime.photos.folder import IGNORED_ON_PURPOSE
from linnet_runtime.photos.listing import Photos, class_names, decode_photos, find_photos, photo_name
from linnet_runtime.preprocess import Preprocess

logger = logging.getLogger("linnet")


def load_labelled_photos(data: Path, labels: tuple[str, ...], spec: Preprocess) -> Photos:
    """A run's validation photos, or those of a folder or a table: its test part where it has one, else all of it.

    Unreadable photos are left out with a warning each; one warning names the files in class folders that are not read.

    Raises:
        LinnetError: no photos, a class that the model does not know, or a run made for another size.
    """
    if run_files.keeps_photos(data):
        return _validation_photos(data, labels, spec)
    listing = find_photos(data)
    warn_of_skipped(listing, data)
    files = listing.photos
    if any(file.part == "test" for file in files):
        files = [file for file in files if file.part == "test"]
    index = {label_named(label): i for i, label in enumerate(labels)}
    unknown = set(class_names(files)) - set(index)
    if unknown:
        raise LinnetError(str(data), got="classes " + ", ".join(sorted(unknown)), expected="only " + ", ".join(labels))
    decoded = list(decode_photos(files, spec, lambda _, error: logger.warning("left out: %s", error)))
    if not decoded:
        raise LinnetError(str(data), got="no photo that can be read", expected="at least one")
    return Photos(np.stack([pixels for _, pixels in decoded]), np.array([index[file.label] for file, _ in decoded]))


def warn_of_skipped(listing: PhotoListing, data: Path) -> None:
    """One warning that counts and names the files in class folders that are not read."""
    meant = [file for file in listing.skipped if file.label is not None and file.reason not in IGNORED_ON_PURPOSE]
    if meant:
        logger.warning("%s", describe_skipped((photo_name(file, data), file.reason) for file in meant))


def _validation_photos(run: Path, labels: tuple[str, ...], spec: Preprocess) -> Photos:
    photos = run_files.load_run_photos(run, spec)["val"]
    if (run / run_files.METRICS).exists():  # photos.npz may have been copied to a device alone
        classes = run_files.load_metrics(run).classes
        if classes != labels:
            raise LinnetError(str(run), got="classes " + ", ".join(classes), expected=", ".join(labels))
    if len(photos) == 0 or photos.labels.min() < 0 or photos.labels.max() >= len(labels):
        raise LinnetError(
            str(run / run_files.PHOTOS),
            got=f"{len(photos)} photos with labels {sorted(set(photos.labels.tolist()))}",
            expected=f"photos with labels of 0 to {len(labels) - 1}",
        )
    return photos
