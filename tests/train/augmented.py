"""Made photos, and what a training step makes of them under each augmentation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from linnet_train.augment.layers import augment, mix
from linnet_train.augment.mix import mixed_labels
from linnet_train.augment.settings import Augmentation

SIDE = 16
Floats = NDArray[np.float32]
STRONG: dict[str, dict[str, Any]] = {
    "horizontal flip": {"flip": "horizontal"},
    "vertical flip": {"flip": "vertical"},
    "any flip": {"flip": "any"},
    "crop": {"crop": 0.3},
    "rotate": {"rotate": 30.0},
    "zoom": {"zoom": 0.3},
    "shift": {"shift": 0.3},
    "brightness": {"brightness": 0.3},
    "contrast": {"contrast": 0.5},
    "saturation": {"saturation": 0.9},
    "hue": {"hue": 0.3},
    "noise": {"noise": 0.1},
    "blur": {"blur": 3.0},
    "randaugment": {"randaugment": 3, "randaugment_magnitude": 9.0},
    "erase": {"erase": 1.0},
}


def augmenter(view: str = "none", seed: int = 0, side: int = SIDE, **strengths: Any) -> keras.Model:
    pixels = keras.Input((side, side, 3), dtype="uint8")
    return keras.Model(pixels, augment(pixels, Augmentation(view=view, **strengths), seed))


def trained(photos: NDArray[np.uint8], view: str = "none", seed: int = 0, **strengths: Any) -> Floats:
    """The photos as a training step sees them."""
    model = augmenter(view, seed, photos.shape[1], **strengths)
    return np.asarray(model(photos, training=True))


def mixer(side: int = SIDE, **alphas: float) -> keras.Model:
    pixels = keras.Input((side, side, 3), dtype="uint8")
    return keras.Model(pixels, list(mix(pixels, Augmentation(view="none", **alphas), 0)))


def mixed(photos: NDArray[np.uint8], labels: list[int], classes: int, **alphas: float) -> tuple[Floats, Floats]:
    """Mixed photos and their soft labels."""
    outputs, own = mixer(**alphas)(photos, training=True)
    return np.asarray(outputs), np.asarray(mixed_labels(np.array(labels), own, classes))


def noise(count: int, side: int = SIDE) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)


def corner(count: int) -> NDArray[np.uint8]:
    """Grey photos, no two of whose eight orientations are alike: red above left, green beside it, blue below it."""
    photos = np.full((count, SIDE, SIDE, 3), 60, np.uint8)
    third = SIDE // 3
    photos[:, :third, :third] = (240, 60, 60)
    photos[:, :third, third : 2 * third] = (60, 240, 60)
    return photos


def gradient(count: int, side: int = 64) -> NDArray[np.uint8]:
    """Photos in which red tells the column and green the row."""
    ramp = np.linspace(40, 200, side).astype(np.uint8)
    photo = np.stack([np.tile(ramp, (side, 1)), np.tile(ramp[:, None], (1, side)), np.full((side, side), 90)], axis=-1)
    return np.repeat(photo[None].astype(np.uint8), count, axis=0)


def flat(*values: int) -> NDArray[np.uint8]:
    return np.stack([np.full((SIDE, SIDE, 3), value, np.uint8) for value in values])


MIXES = {"mixup": {"mixup": 1.0}, "cutmix": {"cutmix": 1.0}, "both": {"mixup": 1.0, "cutmix": 1.0}}
