"""What a run leaves: the files, and that each of them says what is so."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import keras
import msgspec
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from linnet_runtime.preprocess import BORDER, Preprocess, preprocess, read_picture
from linnet_runtime.run_files import load_run_photos
from linnet_train.quantization import calibrate, quantize
from linnet_train.recipes.recipe import Recipe
from networks import TINY

SPEC = Preprocess(height=32, width=32)


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


def pixels_of(data: Path, names: list[str]) -> np.ndarray:
    return np.stack([preprocess(read_picture(data / name), SPEC, color="bgr") for name in names])


def test_a_run_holds_what_is_promised_and_nothing_more(tiny_run: Path) -> None:
    assert {path.name for path in tiny_run.iterdir()} == {
        *("config.json", "splits.json", "history.json", "metrics.json"),
        *("photos.npz", "float.keras", "qat.keras", "curves.png", "confusion_matrix.png"),
        *("augmentation.html", "report.json", "report.html"),
    }


def test_the_configuration_is_exact(tiny_run: Path, easy_photos: Path) -> None:
    config = read(tiny_run, "config.json")
    recipe = msgspec.convert(config["recipe"], Recipe)
    asked = dict(zip(TINY[::2], TINY[1::2], strict=True))
    assert {flag: getattr(recipe, flag[2:].replace("-", "_")) for flag in asked} == asked
    assert (recipe.epochs, recipe.qat_epochs, recipe.seed) == (4, 3, 0)
    assert recipe.data == str(easy_photos)
    assert config["backend"] == "tensorflow"
    assert config["versions"]["keras"] == keras.__version__


def test_history_has_a_row_for_every_epoch(tiny_run: Path) -> None:
    history = read(tiny_run, "history.json")
    assert [(row["phase"], row["epoch"]) for row in history] == [
        *((0, e) for e in (1, 2, 3, 4)),
        (1, 1),
        (1, 2),
        (2, 1),
    ]
    for row in history:
        figures = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
        assert set(row) == {"phase", "epoch", "seconds", *figures}
        assert all(np.isfinite(value) for value in row.values())
    assert history[3]["loss"] < history[0]["loss"], "it learns"


@pytest.mark.parametrize(("key", "file"), [("float", "float.keras"), ("qat", "qat.keras")])
def test_metrics_are_those_of_the_models_on_the_test_photos(
    key: str, file: str, tiny_run: Path, easy_photos: Path
) -> None:
    metrics, splits = read(tiny_run, "metrics.json"), read(tiny_run, "splits.json")
    described = {"classes", "splits", "unreadable", "not_read", "preprocess", "temperature", "seconds"}
    assert set(metrics) == {"float", "qat", *described}
    assert metrics["classes"] == ["blue", "green", "red"]
    assert metrics["splits"] == {part: len(splits[part]) for part in ("train", "val", "test")}
    assert msgspec.convert(metrics["preprocess"], Preprocess) == SPEC
    model = keras.saving.load_model(tiny_run / file, compile=False)
    logits = np.asarray(model(pixels_of(easy_photos, splits["test"]), training=False))
    labels = np.array([metrics["classes"].index(name.split("/")[0]) for name in splits["test"]])
    assert metrics[key]["top1"] == pytest.approx((logits.argmax(axis=1) == labels).mean())
    assert metrics[key]["cross_entropy"] == pytest.approx(log_loss(labels, softmax(logits, axis=1)), rel=1e-3)
    assert metrics[key]["n"] == len(labels) == 12
    assert metrics[key]["top1"] >= 0.8, "the photos are easy"


@pytest.mark.parametrize("part", ["train", "val"])
def test_the_photos_that_a_run_keeps_are_those_of_its_parts(part: str, tiny_run: Path, easy_photos: Path) -> None:
    names = read(tiny_run, "splits.json")[part]
    kept = load_run_photos(tiny_run, SPEC)
    assert set(kept) == {"train", "val"}, "the test part stays unseen"
    expected = {
        photo.tobytes(): name.split("/")[0] for name, photo in zip(names, pixels_of(easy_photos, names), strict=True)
    }
    found = [photo.tobytes() for photo in kept[part].pixels]
    assert sorted(found) == sorted(expected)
    classes = read(tiny_run, "metrics.json")["classes"]
    assert [classes[label] for label in kept[part].labels] == [expected[photo] for photo in found]


@pytest.mark.parametrize("name", ["curves.png", "confusion_matrix.png"])
def test_plots_are_pictures(name: str, tiny_run: Path) -> None:
    assert min(cv2.imread(str(tiny_run / name)).shape[:2]) >= 400


def test_no_epochs_with_quantisation_is_post_training_quantization(
    easy_photos: Path, tmp_path: Path, program: Any
) -> None:
    """And --json gives the metrics."""
    run = tmp_path / "run"
    done = program("train", easy_photos, "--out", run, *TINY, "--epochs", 4, "--qat-epochs", 0, "--json")
    assert json.loads(done.stdout) == read(run, "metrics.json")
    assert Counter(row["phase"] for row in read(run, "history.json")) == {0: 4}
    floating, rounded = (keras.saving.load_model(run / f"{name}.keras", compile=False) for name in ("float", "qat"))
    for weight in floating.weights:
        if not weight.path.endswith(("/bias", "/beta")):  # which are rounded to what int32 counts: see quantize.biases
            mine = next(other for other in rounded.weights if other.path == weight.path)
            np.testing.assert_array_equal(np.asarray(mine), np.asarray(weight), err_msg=weight.path)
    calibrated = quantize(floating)
    calibrate(calibrated, load_run_photos(run)["train"].pixels)
    for mine, theirs in zip(rounded.get_weights(), calibrated.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, err_msg="ranges are those of the training photos")
    metrics = read(run, "metrics.json")
    assert metrics["qat"]["top1"] >= metrics["float"]["top1"] - 1 / 12


def test_a_run_with_padding_is_trained_on_whole_photos_in_a_border(
    easy_photos: Path, tmp_path: Path, program: Any
) -> None:
    run = tmp_path / "run"
    program("train", easy_photos, "--out", run, *TINY, "--crop", "pad", "--epochs", 1, "--qat-epochs", 0)
    assert read(run, "metrics.json")["preprocess"]["crop"] == "pad"
    pixels = load_run_photos(run)["train"].pixels
    assert (pixels[:, :3] == BORDER).all()  # 44 x 36 pixels become 32 x 26
    assert (pixels[:, 29:] == BORDER).all()
    assert pixels[:, 3:29].std() > 10


def test_a_run_of_mobilenet_holds_the_same(tiny_run: Path, run_folder: Path) -> None:
    files, of_tiny = ({path.name for path in run.iterdir()} for run in (run_folder, tiny_run))
    assert files == of_tiny - {"augmentation.html"}, "it was trained without augmentation"
    metrics, kept = read(run_folder, "metrics.json"), load_run_photos(run_folder)
    assert set(metrics) == set(read(tiny_run, "metrics.json"))
    assert len(metrics["classes"]) == 7
    assert kept["val"].pixels.shape == (28, 48, 48, 3)


def test_the_run_that_other_tests_take_has_learnt_its_classes(run_folder: Path) -> None:
    """Both models; a network that gives the same for every photo would pass every comparison with itself."""
    metrics = read(run_folder, "metrics.json")
    assert min(metrics[kind]["top1"] for kind in ("float", "qat")) >= 0.9
    pixels = load_run_photos(run_folder)["val"].pixels
    for name in ("float", "qat"):
        logits = np.asarray(keras.saving.load_model(run_folder / f"{name}.keras", compile=False)(pixels))
        assert np.ptp(logits, axis=0).min() > 1
