"""``linnet baseline``: classical features, and what classical classifiers get from them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_train.baseline.features import (
    color_histograms,
    hu_moments,
    local_binary_patterns,
    oriented_gradients,
    sift_descriptors,
)
from linnet_train.baseline.measure import FEATURES
from program import one_line_error

Pixels = NDArray[np.uint8]


def blob(angle: float = 0.0, color: tuple[int, int, int] = (200, 60, 40)) -> Pixels:
    """An ellipse on gray: uint8 RGB [1, 128, 128, 3]."""
    photo = np.full((128, 128, 3), 30, np.uint8)
    cv2.ellipse(photo, (64, 64), (40, 18), angle, 0, 300, color, -1)
    return photo[None]


def test_a_color_histogram_depends_on_colors_and_not_on_places() -> None:
    one = color_histograms(blob())
    assert one.shape == (1, 12 * 4 * 4)
    assert (one**2).sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(one, color_histograms(blob()[:, :, ::-1]), atol=1e-6)
    assert np.abs(one - color_histograms(blob(color=(40, 60, 200)))).max() > 0.1


def test_binary_patterns_do_not_depend_on_brightness() -> None:
    photo = np.random.default_rng(0).integers(60, 190, (1, 64, 64, 1), np.uint8).repeat(3, axis=3)
    dark, bright = local_binary_patterns(photo), local_binary_patterns(photo + np.uint8(40))
    assert dark.shape == (1, 59 * 4 * 2)
    np.testing.assert_allclose(dark, bright, atol=1e-6)


def test_binary_patterns_count_each_pixel_once() -> None:
    found = local_binary_patterns(blob()).reshape(8, 59)  # four quarters at two sizes
    np.testing.assert_allclose((found**2).sum(axis=1), 1, atol=1e-5)


def test_oriented_gradients_do_not_depend_on_contrast_and_show_the_direction() -> None:
    photo = blob().astype(np.float32)
    strong, weak = oriented_gradients(blob()), oriented_gradients((photo / 2).astype(np.uint8))
    assert strong.shape == (1, 7 * 7 * 4 * 9)
    assert np.abs(strong - weak).mean() < 0.02
    assert np.abs(strong - oriented_gradients(blob(90))).mean() > 0.03


def test_a_vertical_edge_has_a_horizontal_gradient() -> None:
    photo = np.zeros((1, 64, 64, 3), np.uint8)
    photo[:, :, 32:] = 255
    found = oriented_gradients(photo).reshape(-1, 9).sum(axis=0)
    assert found[[0, 8]].min() > 10 * max(found[3:6].max(), 1e-6)  # the first and the last bin are beside angle 0


def test_hu_moments_do_not_depend_on_rotation() -> None:
    one, turned = hu_moments(blob())[0, :4], hu_moments(blob(90))[0, :4]
    np.testing.assert_allclose(one, turned, rtol=0.02)


def test_a_photo_without_keypoints_has_no_descriptors() -> None:
    plain, rich = np.full((1, 64, 64, 3), 90, np.uint8), blob(30)
    found = sift_descriptors(np.concatenate([cv2.resize(rich[0], (64, 64))[None], plain]), 20)
    assert found[1].shape == (0, 128)
    assert 0 < len(found[0]) <= 20
    np.testing.assert_allclose((found[0] ** 2).sum(axis=1), 1, atol=1e-3)


@pytest.fixture(scope="module")
def said(easy_photos: Path) -> dict[str, object]:
    from program import linnet

    done = linnet("baseline", easy_photos, "--json")
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_photos_that_differ_in_color_need_a_color_histogram_only(said: dict[str, object]) -> None:
    rows = {(row["features"], row["classifier"]): row for row in said["rows"]}  # type: ignore[attr-defined]
    assert len(rows) == 3 * len(FEATURES)
    assert rows["color histogram", "logistic regression"]["test"]["value"] >= 0.9
    assert rows["Hu moments", "linear SVM"]["test"]["value"] < 0.9


def test_the_figures_are_those_of_the_split_that_training_makes(said: dict[str, object]) -> None:
    assert said["splits"] == {"train": 36, "val": 12, "test": 12}
    assert said["commonest"]["value"] == pytest.approx(1 / 3)  # type: ignore[index]
    assert said["best"]["val"] == max(row["val"] for row in said["rows"])  # type: ignore[index, attr-defined]


def test_a_folder_of_one_class_is_one_line(
    easy_photos: Path, program: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "blue").symlink_to(easy_photos / "blue")
    assert "at least two" in one_line_error(program("baseline", tmp_path / "one", status=1))
