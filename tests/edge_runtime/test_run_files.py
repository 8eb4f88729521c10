"""The files of a run as other programs read them: what was written comes back, and what is wrong is one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet_devices.errors import LinnetError
from linnet_runtime import run_files
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.photos.listing import Photos
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.run_files import Config, Metrics, ModelMetrics, RunError, Splits, save_json, save_run_photos

SPEC = Preprocess(height=4, width=5)
CLASSES = ("bolt", "nut")
FIGURES = ModelMetrics(top1=0.5, top5=1.0, cross_entropy=0.7, recall={"bolt": 0.5, "nut": 0.5}, n=2)
METRICS = Metrics(
    float_model=FIGURES,
    qat=FIGURES,
    classes=CLASSES,
    splits={"train": 3, "val": 3, "test": 2},
    unreadable=0,
    not_read=0,
    preprocess=SPEC,
    temperature=1.25,
    seconds={"data": 1.0},
)
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's files but its models."""
    folder = tmp_path / "run"
    folder.mkdir()
    save_json(folder / run_files.CONFIG, Config(recipe={"seed": 3}, backend="tensorflow", versions={}))
    save_json(folder / run_files.SPLITS, Splits(train=["a"], val=["b"], test=["c"], unreadable={"d": "empty"}))
    save_json(folder / run_files.METRICS, METRICS)
    photos = Photos(PIXELS, np.array([0, 1, 1]))
    save_run_photos(folder, SPEC, {"val": photos, "train": photos})
    return folder


def test_what_was_written_comes_back(run: Path) -> None:
    assert run_files.load_metrics(run) == METRICS
    assert run_files.load_config(run).recipe == {"seed": 3}
    assert run_files.load_splits(run).unreadable == {"d": "empty"}
    kept = run_files.load_run_photos(run, SPEC)
    assert set(kept) == {"val", "train"}
    assert np.array_equal(kept["val"].pixels, PIXELS)
    assert kept["val"].labels.tolist() == [0, 1, 1]


def test_the_keys_of_the_metrics_are_those_of_the_design(run: Path) -> None:
    found = json.loads((run / "metrics.json").read_bytes())
    assert {"float", "qat", "classes", "splits"} <= set(found)
    assert set(found["splits"]) == {"train", "val", "test"}
    assert found["float"]["top1"] == 0.5


def test_the_photos_that_set_the_ranges_are_the_training_photos_that_a_run_keeps() -> None:
    assert run_files.KEPT_PHOTOS["train"] == run_files.CALIBRATION_PHOTOS


@pytest.mark.parametrize("load", [run_files.load_metrics, run_files.load_config, run_files.load_splits])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"classes": 1}', b"\xff", b"[" * 100_000, b'{"recipe": "\xff"}']
)
def test_a_damaged_file_is_one_line_that_names_it(load: Callable[[Path], Any], content: bytes, run: Path) -> None:
    for name in (run_files.METRICS, run_files.CONFIG, run_files.SPLITS):
        (run / name).write_bytes(content)
    with pytest.raises(RunError, match=r"run/\w+\.json: got .*, expected the \w+\.json of a run of linnet train"):
        load(run)


def test_a_run_that_is_not_done_says_how_to_go_on(run: Path) -> None:
    (run / run_files.METRICS).unlink()
    with pytest.raises(RunError, match=r"got a run that is not done, .* Fix: linnet train --resume"):
        run_files.load_metrics(run)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x93NUMPY\x01\x00"])
def test_damaged_photos_are_one_line(content: bytes, run: Path) -> None:
    (run / run_files.PHOTOS).write_bytes(content)
    with pytest.raises(RunError, match=r"photos\.npz: got .*, expected the photos that a run keeps"):
        run_files.load_run_photos(run, SPEC)


def test_photos_of_another_preprocessing_are_refused(run: Path) -> None:
    with pytest.raises(RunError, match="got photos preprocessed as"):
        run_files.load_run_photos(run, Preprocess(height=4, width=4))


def test_photos_of_a_run_with_other_classes_are_refused(run: Path) -> None:
    """Its labels are numbers, which would be taken for the classes in those places."""
    assert len(load_labelled_photos(run, CLASSES, SPEC)) == 3
    with pytest.raises(LinnetError, match="got classes bolt, nut, expected bolt, washer"):
        load_labelled_photos(run, ("bolt", "washer"), SPEC)


def test_labels_that_the_model_does_not_have_are_refused(run: Path) -> None:
    (run / run_files.METRICS).unlink()  # photos.npz alone, as on a device
    assert len(load_labelled_photos(run, CLASSES, SPEC)) == 3
    photos = Photos(PIXELS, np.array([0, 1, 2]))
    save_run_photos(run, SPEC, {"val": photos, "train": photos})
    with pytest.raises(LinnetError, match=r"labels \[0, 1, 2\], expected photos with labels of 0 to 1"):
        load_labelled_photos(run, CLASSES, SPEC)
