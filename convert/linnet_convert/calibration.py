"""Calibration photos, which set the ranges of an int8 model: from the training part only, balanced over the classes.
Internal.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linnet_convert.errors import ConversionError
from linnet_runtime import run_files
from linnet_runtime.labelled_photos import warn_of_skipped
from linnet_runtime.photos.file import PhotoFile, label_named
from linnet_runtime.photos.listing import Photos, decode_photos, find_photos, photo_name
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.proof.reference import photo_digests

logger = logging.getLogger("linnet")


@dataclass(frozen=True)
class Calibration(Photos):
    """Calibration photos, and how they were chosen."""

    source: str
    """The name of the run or the folder that they are from."""
    seed: int
    """The seed of the random choice."""
    names: tuple[str, ...] = ()
    """The file of each photo, relative to the folder; () where it is not known."""

    def summary(self, labels: tuple[str, ...]) -> dict[str, object]:
        """For JSON: the number of photos of each class, and the SHA-256 of each photo's pixels; no picture."""
        counts = np.bincount(self.labels, minlength=len(labels)).tolist()
        return {
            "source": self.source,
            "seed": self.seed,
            "photos": len(self),
            "classes": dict(zip(labels, counts, strict=True)),
            "names": list(self.names),
            "sha256": [bytes(digest).hex() for digest in photo_digests(self.pixels)],
        }


def load_calibration(
    data: Path, labels: tuple[str, ...], spec: Preprocess, *, most: int = run_files.CALIBRATION_PHOTOS, seed: int = 0
) -> Calibration:
    """Up to ``most`` photos of the training part of a run or a folder: the same number of each class, or all where a
    class has fewer. A folder without parts consists of training photos.

    Photos that cannot be read, or whose class is not one of ``labels``, are left out with a warning.

    Raises:
        ConversionError: the folder shares no class with the model.
        LinnetError: no photos.
    """
    if run_files.keeps_photos(data):
        return calibration_of_run(data, spec)
    listing = find_photos(data)
    warn_of_skipped(listing, data)
    files = listing.photos
    if any(file.part is not None for file in files):
        files = [file for file in files if file.part == "train"]
    index = {label_named(label): i for i, label in enumerate(labels)}
    known = [file for file in files if file.label in index]
    if not known:
        found = ", ".join(sorted({file.label for file in files})) or "none"
        raise ConversionError(
            f"calibration photos in {data}",
            got=f"classes {found}",
            expected="some of the model's: " + ", ".join(labels),
            fix="photos that the model was trained on, in folders named as its labels",
        )
    if unknown := sorted({file.label for file in files} - set(index)):
        logger.warning("calibration leaves out classes that the model does not know: %s", ", ".join(unknown))
    chosen = _in_turn(known, seed)[:most]
    decoded = list(decode_photos(chosen, spec, lambda _, error: logger.warning("left out: %s", error)))
    if not decoded:
        raise ConversionError(f"calibration photos in {data}", got="none that can be read", expected="at least one")
    return Calibration(
        pixels=np.stack([pixels for _, pixels in decoded]),
        labels=np.array([index[file.label] for file, _ in decoded], np.int64),
        source=data.resolve().name,
        seed=seed,
        names=tuple(photo_name(file, data) for file, _ in decoded),
    )


def calibration_of_run(run: Path, spec: Preprocess) -> Calibration:
    """The training photos that a run keeps: run_files.CALIBRATION_PHOTOS states that the run calibrated on them.

    Raises:
        LinnetError: it keeps none, or its recipe cannot be read.
    """
    photos, config = run_files.load_run_photos(run, spec)["train"], run_files.load_config(run)
    try:
        seed = int(config.recipe["seed"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConversionError(
            f"{run / run_files.CONFIG} $.recipe.seed", got=str(error), expected="the recipe of a run of linnet train"
        ) from error
    return Calibration(photos.pixels, photos.labels, run.resolve().name, seed)


def _in_turn(files: list[PhotoFile], seed: int) -> list[PhotoFile]:
    """In random order, but the k-th photo of each class before the (k+1)-th of any."""
    of_class: dict[str, list[PhotoFile]] = defaultdict(list)
    for i in np.random.default_rng(seed).permutation(len(files)):
        of_class[files[i].label].append(files[i])
    turns = [(turn, label, file) for label, group in of_class.items() for turn, file in enumerate(group)]
    return [file for _, _, file in sorted(turns, key=lambda entry: entry[:2])]
