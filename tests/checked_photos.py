"""Small folders of photos for the data check, and its findings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.perceptual_hash import NEAR
from linnet_train.data_check.findings import Check, Finding, check_folder

Picture = NDArray[np.uint8]
PER_CLASS = 20
ORIENTATION = 0x0112  # EXIF's tag


def picture(seed: int, height: int = 72, width: int = 96) -> Picture:
    """BGR blotches: a picture like no other, that survives JPEG as a photo does."""
    blotches = np.random.default_rng(seed).integers(40, 216, (9, 12, 3), dtype=np.uint8)
    return cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)


def write(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16], *, quality: int = 95) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


def fill(folder: Path, first_seed: int, count: int = PER_CLASS) -> None:
    for i in range(count):
        write(folder / f"{i:02d}.jpg", picture(first_seed + i))


def check(folder: Path, near: int = NEAR) -> Check:
    return check_folder(folder, near, lambda done, total: None, lambda done, total: None)


def found(folder: Path, kind: str) -> list[Finding]:
    return [finding for finding in check(folder).findings if finding.kind == kind]
