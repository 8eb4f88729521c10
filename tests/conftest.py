"""What many tests share: a small set of photos, a run trained on it and the bundle made of that run.

The three are made once a session by the program itself and are not to be written to; copy what a test changes.
"""

from __future__ import annotations

import colorsys
import signal
from pathlib import Path

import numpy as np
import pytest

from linnet_runtime.synthetic.photos import CLASSES, write_photos
from once import made_once
from program import linnet

# A shell that runs the tests in its background has them ignore ctrl-C, and nohup a hang-up, and with them every process
# that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

PHOTOS_PER_CLASS = 20
SIZE = 48
TINT = 0.7  # the color's share of a photo
TRAINING = ("--size", SIZE, "--weights", "none", "--epochs", 16, "--qat-epochs", 2, "--batch-size", 8)
WITHOUT_NOISE = ("--learning-rate", 0.004, "--augment", "none", "--dropout", 0, "--label-smoothing", 0)


@pytest.fixture(scope="session")
def photos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: 20 rendered photos in each of seven folders of classes, each class tinted with its own color.

    The rendered photos alone take hundreds of photos and many epochs to learn; the colors are learnt in seconds.
    """

    def make(folder: Path) -> None:
        import cv2  # after Linnet, which sets the level of OpenCV's log before it is imported

        photos = list(write_photos(folder / "parts", PHOTOS_PER_CLASS, seed=0))
        assert len(photos) == 7 * PHOTOS_PER_CLASS
        for path in photos:
            hue = CLASSES.index(path.parent.name) / len(CLASSES)
            color = 255 * np.array(colorsys.hsv_to_rgb(hue, 1, 1)[::-1])
            photo = (1 - TINT) * cv2.imread(str(path)) + TINT * color
            cv2.imwrite(str(path), np.rint(photo).astype(np.uint8))

    return made_once(tmp_path_factory, "data", make) / "parts"


@pytest.fixture(scope="session")
def run_folder(photos_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUN: MobileNetV2 0.35 at 48 px. It has learnt the classes, and by so much that no rounding decides a label."""

    def make(folder: Path) -> None:
        linnet("train", photos_folder, "--out", folder / "parts-run", *TRAINING, *WITHOUT_NOISE)

    return made_once(tmp_path_factory, "runs", make) / "parts-run"


@pytest.fixture(scope="session")
def bundle_folder(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NAME.linnet of the run, in every format."""

    def make(folder: Path) -> None:
        linnet("convert", run_folder, "--out", folder / "parts.linnet")

    return made_once(tmp_path_factory, "bundles", make) / "parts.linnet"
