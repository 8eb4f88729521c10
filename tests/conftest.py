"""What many tests share: a small set of rendered photos, a run trained on it and the bundle made of that run.

The three are made once a session by the program itself and are not to be written to; copy what a test changes.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from linnet_runtime.synthetic.photos import write_photos
from once import made_once
from program import linnet

# A shell that runs the tests in its background has them ignore ctrl-C, and nohup a hang-up, and with them every process
# that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

PHOTOS_PER_CLASS = 20
SIZE = 48
TRAINING = ("--size", SIZE, "--weights", "none", "--epochs", 2, "--qat-epochs", 3, "--batch-size", 16)


@pytest.fixture(scope="session")
def photos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: 20 rendered photos in each of seven folders of classes."""

    def make(folder: Path) -> None:
        assert len(list(write_photos(folder / "parts", PHOTOS_PER_CLASS, seed=0))) == 7 * PHOTOS_PER_CLASS

    return made_once(tmp_path_factory, "data", make) / "parts"


@pytest.fixture(scope="session")
def run_folder(photos_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUN: MobileNetV2 0.35 at 48 px after a few epochs. Its accuracy means nothing."""

    def make(folder: Path) -> None:
        linnet("train", photos_folder, "--out", folder / "parts-run", *TRAINING)

    return made_once(tmp_path_factory, "runs", make) / "parts-run"


@pytest.fixture(scope="session")
def bundle_folder(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NAME.linnet of the run, in every format."""

    def make(folder: Path) -> None:
        linnet("convert", run_folder, "--out", folder / "parts.linnet")

    return made_once(tmp_path_factory, "bundles", make) / "parts.linnet"
