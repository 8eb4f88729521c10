"""What many tests share: a small set of rendered photos, a run trained on it and the bundle made of that run.

The three are made once a session by the program itself and are not to be written to; copy what a test changes.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from linnet_runtime.sources.synthetic import write_photos
from program import linnet

# A shell that runs the tests in its background has them ignore ctrl-C, and with them every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

PHOTOS_PER_CLASS = 20
SIZE = 48
TRAINING = ("--size", SIZE, "--weights", "none", "--epochs", 2, "--qat-epochs", 3, "--batch-size", 16)


@pytest.fixture(scope="session")
def photos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: 20 rendered photos in each of seven folders of classes."""
    folder = tmp_path_factory.mktemp("data") / "parts"
    assert len(list(write_photos(folder, PHOTOS_PER_CLASS, seed=0))) == 7 * PHOTOS_PER_CLASS
    return folder


@pytest.fixture(scope="session")
def run_folder(photos_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUN: MobileNetV2 0.35 at 48 px after a few epochs. Its accuracy means nothing."""
    run = tmp_path_factory.mktemp("runs") / "parts-run"
    linnet("train", photos_folder, "--out", run, *TRAINING)
    return run


@pytest.fixture(scope="session")
def bundle_folder(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NAME.linnet of the run, in every format."""
    bundle = tmp_path_factory.mktemp("bundles") / "parts.linnet"
    linnet("convert", run_folder, "--out", bundle)
    return bundle
