"""Augmentation: what may happen to a photo in a training step, and that nothing happens to it anywhere else."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_train.augment.layers import augment

VIEWS = ["upright", "overhead"]
SIDE = 16


def augmenter(view: str, seed: int = 0) -> keras.Model:
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    return keras.Model(pixels, augment(pixels, view, seed))


def noise(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def corner(count: int) -> NDArray[np.uint8]:
    """Grey photos, no two of whose eight orientations are alike: red above left, green beside it, blue below it."""
    photos = np.full((count, SIDE, SIDE, 3), 60, np.uint8)
    third = SIDE // 3
    photos[:, :third, :third] = (240, 60, 60)
    photos[:, :third, third : 2 * third] = (60, 240, 60)
    return photos


def orientation(photo: NDArray[np.float32]) -> int:
    """Which of the eight orientations of ``corner`` a photo is most like."""
    plain = corner(1)[0].astype(np.float32)
    turned = [np.rot90(flipped, turns) for flipped in (plain, plain[:, ::-1]) for turns in range(4)]
    return int(np.argmin([np.abs(photo - candidate).mean() for candidate in turned]))


def test_none_is_the_very_pixels() -> None:
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    assert augment(pixels, "none", 0) is pixels


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_happens_outside_of_training(view: str) -> None:
    photos = noise(4)
    outputs = np.asarray(augmenter(view)(photos, training=False))
    np.testing.assert_array_equal(outputs, photos.astype(np.float32))


@pytest.mark.parametrize("view", VIEWS)
def test_a_training_step_sees_other_photos_in_the_same_range(view: str) -> None:
    photos = noise(32)
    outputs = np.asarray(augmenter(view)(photos, training=True))
    assert (outputs.shape, outputs.dtype) == (photos.shape, np.float32)
    assert outputs.min() >= 0
    assert outputs.max() <= 255
    assert (np.abs(outputs - photos).mean(axis=(1, 2, 3)) > 1).all(), "every photo is changed"


@pytest.mark.parametrize("view", VIEWS)
def test_each_photo_is_varied_in_its_own_way(view: str) -> None:
    outputs = np.asarray(augmenter(view)(corner(16), training=True)).reshape(16, -1)
    assert len({output.tobytes() for output in outputs}) == 16


@pytest.mark.parametrize("view", VIEWS)
def test_the_seed_decides(view: str) -> None:
    first, again, other = (np.asarray(augmenter(view, seed)(noise(4), training=True)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 1


@pytest.mark.parametrize("view", VIEWS)
def test_steps_differ(view: str) -> None:
    model = augmenter(view)
    first, second = (np.asarray(model(noise(4), training=True)) for _ in range(2))
    assert np.abs(first - second).mean() > 1


@pytest.mark.parametrize(
    ("view", "orientations"),
    [
        ("upright", {0, 4}),  # as it was, and left and right exchanged
        ("overhead", set(range(8))),
    ],
)
def test_a_photo_is_turned_as_its_view_allows(view: str, orientations: set[int]) -> None:
    outputs = np.asarray(augmenter(view)(corner(100), training=True))
    assert {orientation(output) for output in outputs} == orientations


@pytest.mark.parametrize("view", VIEWS)
def test_a_photo_of_one_colour_stays_of_one_colour(view: str) -> None:
    """What moves in from outside is the photo mirrored, not a black edge."""
    photos = np.full((8, SIDE, SIDE, 3), 200, np.uint8)
    outputs = np.asarray(augmenter(view)(photos, training=True))
    assert np.ptp(outputs, axis=(1, 2)).max() < 1e-2
