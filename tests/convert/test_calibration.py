"""Calibration: photos of the training part alone, as many of each class, and how the ranges fit."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from linnet_convert.calibration import load_calibration
from linnet_convert.errors import ConversionError
from linnet_convert.proof.coverage import measure_coverage
from linnet_convert.sources.run import load_run
from linnet_runtime.preprocess import Preprocess, preprocess, read_picture
from linnet_runtime.run_files import load_run_photos
from linnet_train.quantization import FakeQuantize, calibrate, quantize

SPEC = Preprocess(height=32, width=32)
LABELS = ("blue", "green", "red")


@pytest.fixture
def folder(easy_photos: Path, tmp_path: Path) -> Path:
    """DATA/{train,test}/CLASS/*: of the training part 12 blue, 12 green and 3 red."""
    for part, start, counts in (("train", 0, (12, 12, 3)), ("test", 12, (6, 6, 6))):
        for label, count in zip(LABELS, counts, strict=True):
            (tmp_path / "data" / part / label).mkdir(parents=True)
            for i in range(start, start + count):
                shutil.copy(easy_photos / label / f"{i:02d}.jpg", tmp_path / "data" / part / label)
    return tmp_path / "data"


def test_photos_come_from_the_training_part_the_classes_in_turn(folder: Path) -> None:
    found = load_calibration(folder, LABELS, SPEC, most=9)
    assert np.bincount(found.labels).tolist() == [3, 3, 3]
    assert all(name.startswith("train/") for name in found.names)
    everything = load_calibration(folder, LABELS, SPEC)
    assert np.bincount(everything.labels).tolist() == [12, 12, 3]
    for name, label, pixels in zip(found.names, found.labels, found.pixels, strict=True):
        assert name.split("/")[1] == LABELS[label]
        np.testing.assert_array_equal(pixels, preprocess(read_picture(folder / name), SPEC, color="bgr"))


def test_the_seed_decides_which(folder: Path) -> None:
    names = [load_calibration(folder, LABELS, SPEC, most=6, seed=seed).names for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


def test_what_is_kept_of_them_is_their_hashes_and_no_picture(folder: Path) -> None:
    found = load_calibration(folder, LABELS, SPEC, most=4, seed=7)
    summary = found.summary(LABELS)
    assert summary["sha256"] == [hashlib.sha256(photo.tobytes()).hexdigest() for photo in found.pixels]
    assert (summary["seed"], summary["photos"], summary["source"]) == (7, 4, "data")
    assert summary["classes"] == {"blue": 2, "green": 1, "red": 1}


def test_a_run_gives_the_training_photos_that_it_calibrated_on(tiny_run: Path) -> None:
    for found in (load_calibration(tiny_run, LABELS, SPEC), load_run(tiny_run).calibration):
        np.testing.assert_array_equal(found.pixels, load_run_photos(tiny_run)["train"].pixels)
        assert (found.source, found.seed) == (tiny_run.name, 0)


def test_a_folder_that_shares_no_class_with_the_model_is_refused(folder: Path) -> None:
    with pytest.raises(ConversionError) as error:
        load_calibration(folder, ("bolt", "nut"), SPEC)
    assert "got classes blue, green, red, expected some of the model's: bolt, nut" in str(error.value)


def test_photos_that_are_not_read_are_counted_and_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "train" / "red" / "IMG_1.HEIC").touch()
    assert len(load_calibration(folder, LABELS, SPEC)) == 27
    assert caplog.messages == ["1 file not read: .heic is not read (1): train/red/IMG_1.HEIC"]


def test_photos_of_other_classes_are_left_out_with_a_word(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "linnet"):
        found = load_calibration(folder, ("green", "white"), SPEC)
    assert np.bincount(found.labels).tolist() == [12]
    assert "calibration leaves out classes that the model does not know: blue, red" in caplog.text


@pytest.fixture(scope="module")
def quantized(tiny_run: Path) -> keras.Model:
    model = quantize(keras.saving.load_model(tiny_run / "float.keras", compile=False))
    calibrate(model, load_run_photos(tiny_run)["train"].pixels)
    return model


def test_ranges_that_fit_clip_little_and_are_used(quantized: keras.Model, tiny_run: Path) -> None:
    found = measure_coverage(quantized, load_run_photos(tiny_run)["train"].pixels)
    own = [layer.name for layer in quantized.layers if isinstance(layer, FakeQuantize) and layer.fixed is None]
    assert [row.layer for row in found] == own, "the pixels' range is what it is"
    for row in found:
        assert row.smallest <= row.largest
        assert row.outside < 0.1
        assert row.used > 0.5


@pytest.mark.parametrize(("factor", "outside", "used"), [(0.5, (0.01, 1), (1.0, 1.0)), (8.0, (0, 0), (0.05, 0.2))])
def test_a_range_too_narrow_clips_and_one_too_wide_goes_unused(
    factor: float, outside: tuple[float, float], used: tuple[float, float], quantized: keras.Model, tiny_run: Path
) -> None:
    other = keras.models.clone_model(quantized)
    other.set_weights(quantized.get_weights())
    layer = other.get_layer("add_range")
    for bound in (layer.minimum, layer.maximum):
        bound.assign(bound * factor)
    (row,) = (
        row for row in measure_coverage(other, load_run_photos(tiny_run)["val"].pixels) if row.layer == layer.name
    )
    assert outside[0] <= row.outside <= outside[1]
    assert used[0] <= row.used <= used[1]
