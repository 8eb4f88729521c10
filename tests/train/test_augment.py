"""Augmentation of one photo: what may happen to it in a training step, and that nothing happens to it anywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from jax_process import PROGRAM, jax_process
from linnet_train.augment.layers import augment
from linnet_train.augment.rand_augment import _equalized
from linnet_train.augment.settings import Augmentation
from networks import TINY
from train.augmented import MIXES, SIDE, STRONG, Floats, augmenter, corner, gradient, noise, trained

VIEWS = ["upright", "overhead"]


def orientation(photo: Floats) -> int:
    """Which of the eight orientations of ``corner`` a photo is most like."""
    plain = corner(1)[0].astype(np.float32)
    turned = [np.rot90(flipped, turns) for flipped in (plain, plain[:, ::-1]) for turns in range(4)]
    return int(np.argmin([np.abs(photo - candidate).mean() for candidate in turned]))


def test_none_is_the_very_pixels() -> None:
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    assert augment(pixels, Augmentation(view="none"), 0) is pixels


@pytest.mark.parametrize("settings", [*({"view": view} for view in VIEWS), *STRONG.values()], ids=[*VIEWS, *STRONG])
class TestEveryAugmentation:
    def test_nothing_happens_outside_of_training(self, settings: dict[str, Any]) -> None:
        photos = noise(4)
        outputs = np.asarray(augmenter(**settings)(photos, training=False))
        np.testing.assert_array_equal(outputs, photos.astype(np.float32))

    def test_each_photo_is_varied_within_its_range_by_the_seed_and_anew_in_each_step(
        self, settings: dict[str, Any]
    ) -> None:
        photos = noise(24)
        model = augmenter(seed=3, **settings)
        first, second = (np.asarray(model(photos, training=True)) for _ in range(2))
        again, other = (trained(photos, seed=seed, **settings) for seed in (3, 4))
        assert (first.shape, first.dtype) == (photos.shape, np.float32)
        assert first.min() >= -1e-3
        assert first.max() <= 255 + 1e-3
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - second).mean() > 1, "steps differ"
        assert np.abs(first - other).mean() > 1, "seeds differ"

    def test_photos_that_are_alike_become_different(self, settings: dict[str, Any]) -> None:
        """A draw for each photo, not one for the batch."""
        outputs = trained(np.repeat(noise(1), 32, axis=0), **settings).reshape(32, -1)
        several = 2 if "flip" in settings else 3
        assert len({output.round(1).tobytes() for output in outputs}) >= several

    def test_it_computes_in_float32_where_the_network_does_not(self, settings: dict[str, Any]) -> None:
        photos = noise(8)
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            outputs = trained(photos, **settings)
        finally:
            keras.config.set_dtype_policy("float32")
        np.testing.assert_array_equal(outputs, trained(photos, **settings))


@pytest.mark.parametrize(
    ("settings", "orientations"),
    [
        ({"view": "upright"}, {0, 4}),  # as it was, and left and right exchanged
        ({"view": "overhead"}, set(range(8))),
        ({"flip": "vertical"}, {0, 6}),
        ({"flip": "both"}, {0, 2, 4, 6}),
        ({"view": "overhead", "flip": "none"}, {0}),  # what is said outright goes before the view
    ],
)
def test_a_photo_is_turned_as_its_settings_allow(settings: dict[str, Any], orientations: set[int]) -> None:
    assert {orientation(output) for output in trained(corner(100), **settings)} == orientations


@pytest.mark.parametrize("name", ["crop", "rotate", "zoom", "shift"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_photo_of_one_color_stays_of_one_color(view: str, name: str) -> None:
    """What moves in from outside is the photo mirrored, not a black edge."""
    photos = np.full((8, SIDE, SIDE, 3), 200, np.uint8)
    assert np.ptp(trained(photos, view=view, **STRONG[name]), axis=(1, 2)).max() < 1e-2


def test_a_crop_keeps_at_least_its_share_of_the_area_at_an_aspect_of_3_to_4() -> None:
    outputs = trained(gradient(200), crop=0.25)
    ramp = 160 / 63
    wide, tall = (np.ptp(outputs[..., c], axis=(1, 2)) / ramp / 63 for c in (0, 1))
    assert 0.25 < (wide * tall).min() < 0.35
    assert (wide * tall).max() > 0.8
    assert 0.75 - 0.03 < (wide / tall).min() < 0.85
    assert 1.15 < (wide / tall).max() < 4 / 3 + 0.03
    left = outputs[:, 32, 0, 0]
    assert left.min() < 45, "crops at the left edge"
    assert np.ptp(left) > 40, "and elsewhere"


def test_a_photo_is_turned_by_at_most_the_angle() -> None:
    outputs = trained(gradient(100), rotate=20.0)[:, 28:36, 28:36]
    # In the middle, red's slope by row over its slope by column is the tangent of the angle.
    angle = np.degrees(np.arctan2(*(np.gradient(outputs[..., 0], axis=axis).mean(axis=(1, 2)) for axis in (1, 2))))
    assert np.abs(angle).max() < 20.5
    assert angle.min() < -15
    assert angle.max() > 15


@pytest.mark.parametrize("strengths", [{"hue": 0.3}, {"saturation": 0.9}])
def test_a_tint_leaves_luma_and_greys(strengths: dict[str, float]) -> None:
    luma = np.array([0.299, 0.587, 0.114])
    soft = np.clip(noise(8), 100, 150)  # far from where values are cut
    np.testing.assert_allclose(trained(soft, **strengths) @ luma, soft @ luma, atol=0.2)
    grey = np.repeat(noise(8)[..., :1], 3, axis=-1)
    np.testing.assert_allclose(trained(grey, **strengths), grey, atol=0.2)


def test_saturation_scales_the_distance_from_grey() -> None:
    soft = np.clip(noise(64), 100, 150)
    before, after = (np.std(p.astype(float), axis=-1).mean(axis=(1, 2)) for p in (soft, trained(soft, saturation=0.5)))
    share = after / before
    assert 0.5 - 1e-3 < share.min() < 0.65
    assert 1.35 < share.max() < 1.5 + 1e-3


def test_a_blur_keeps_the_mean_and_takes_the_detail() -> None:
    photos = noise(32, 32)
    outputs = trained(photos, blur=2.0)
    np.testing.assert_allclose(outputs.mean(axis=(1, 2)), photos.mean(axis=(1, 2)), atol=6)
    detail = outputs.std(axis=(1, 2, 3)) / photos.std(axis=(1, 2, 3))
    assert detail.min() < 0.25
    assert detail.max() > 0.9, "each photo by a width of its own"


def test_noise_has_at_most_its_standard_deviation() -> None:
    grey = np.full((64, 32, 32, 3), 128, np.uint8)
    deviation = (trained(grey, noise=0.1) - 128).std(axis=(1, 2, 3))
    assert deviation.max() < 0.1 * 255 * 1.05
    assert deviation.min() < 3


def test_erasing_replaces_one_rectangle_of_2_to_40_percent() -> None:
    grey = np.full((200, 64, 64, 3), 300 - 200, np.uint8)
    changed = (trained(grey, erase=0.5) != 100).any(axis=-1)
    share = changed.mean(axis=(1, 2))
    assert 0.35 < (share > 0).mean() < 0.65, "half of the photos"
    for photo in changed[share > 0]:
        rows, columns = (np.flatnonzero(photo.any(axis=axis)) for axis in (1, 0))
        box = photo[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.mean() > 0.97, "whole, but for pixels that are 100 by chance"
    assert 0.01 < share[share > 0].min() < 0.08
    assert 0.3 < share.max() < 0.43


class TestRandAugment:
    def test_every_operation_is_drawn(self) -> None:
        """What each of the 14 makes of one photo is seen among many draws of one operation."""
        outputs = trained(np.repeat(gradient(1), 200, axis=0), randaugment=1, randaugment_magnitude=8.0)
        # Four of them have no direction, and six or more have two.
        assert 20 <= len({output.round(2).tobytes() for output in outputs}) <= 26

    def test_magnitude_0_does_next_to_nothing(self) -> None:
        """But for flattening a histogram and stretching it, which know no magnitude."""
        outputs = trained(np.repeat(gradient(1), 100, axis=0), randaugment=1, randaugment_magnitude=0.0)
        unchanged = np.abs(outputs - gradient(1)).max(axis=(1, 2, 3)) < 0.01
        assert 0.75 < unchanged.mean() < 0.95  # 12 of 14

    def test_equalizing_is_opencv_s(self) -> None:
        dark = (np.random.default_rng(0).random((2, 64, 64, 3)) ** 3 * 255).astype(np.uint8)
        dark[1, ..., 0] = 77  # one level alone
        outputs = np.asarray(_equalized(keras.ops.convert_to_tensor(dark.astype(np.float32))))
        for photo, output in zip(dark, outputs, strict=True):
            for colour in range(3):
                expected = cv2.equalizeHist(np.ascontiguousarray(photo[..., colour]))
                if np.ptp(photo[..., colour]):
                    np.testing.assert_allclose(output[..., colour], expected, atol=0.51)
        assert np.ptp(outputs[1, ..., 0]) == 0


def test_everything_at_once_trains_on_jax_too(easy_photos: Path, tmp_path: Path) -> None:
    """Compiled as a whole, which knows no shape that depends on a value."""
    pytest.importorskip("jax", reason="no JAX here")
    strengths = {name: value for settings in (*STRONG.values(), MIXES["both"]) for name, value in settings.items()}
    options = [option for name, value in strengths.items() for option in ("--set", f"augment.{name}={value}")]
    run = tmp_path / "run"
    arguments = ("train", easy_photos, "--out", run, *TINY, "--epochs", 1, "--qat-epochs", 0, *options)
    jax_process(tmp_path, PROGRAM, *arguments)
    assert json.loads((run / "config.json").read_text())["backend"] == "jax"
    assert json.loads((run / "history.json").read_text())[0]["loss"] < 3
    assert "mixup" in (run / "augmentation.html").read_text()
