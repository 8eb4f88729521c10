"""Augmentation as Keras layers, which run on the network's device and only in training steps."""

from __future__ import annotations

import keras

from linnet_train.augment.color import RandomBlur, RandomNoise, RandomTint
from linnet_train.augment.geometry import RandomAffine, RandomTurn
from linnet_train.augment.mix import Mix
from linnet_train.augment.patches import RandomErasing
from linnet_train.augment.rand_augment import RandAugment
from linnet_train.augment.settings import Augmentation


def augment(pixels: keras.KerasTensor, settings: Augmentation, seed: int) -> keras.KerasTensor:
    """Adds the augmentation layers of the settings.

    Args:
        pixels: uint8 [N, H, W, 3]; H must equal W for ``flip="any"``.
        settings: the augmentation.
        seed: the random seed.

    Returns:
        float32 of the same shape and range, with each photo varied separately; the pixels themselves if the settings
        change nothing.
    """
    s = settings.resolved()
    x = pixels

    def then(layer: keras.layers.Layer) -> None:
        nonlocal x
        if x is pixels:
            x = keras.layers.Rescaling(1.0, dtype="float32")(x)  # oneDNN has no transpose of uint8
        x = layer(x)

    if s.flip == "any":
        then(RandomTurn(seed))
    # Keras's "horizontal_and_vertical" draws once for both directions, so no photo would be mirrored in only one.
    if s.flip in ("horizontal", "both"):
        then(keras.layers.RandomFlip("horizontal", seed=seed, dtype="float32"))
    if s.flip in ("vertical", "both"):
        then(keras.layers.RandomFlip("vertical", seed=seed + 10, dtype="float32"))
    if s.shift or s.zoom or s.rotate or s.crop < 1:
        then(RandomAffine(seed + 1, shift=s.shift or 0.0, zoom=s.zoom or 0.0, rotate=s.rotate, crop=s.crop))
    if s.randaugment:
        then(RandAugment(seed + 4, operations=s.randaugment, magnitude=s.randaugment_magnitude))
    light = {"value_range": (0, 255), "dtype": "float32"}
    if s.brightness:
        then(keras.layers.RandomBrightness(s.brightness, seed=seed + 2, **light))
    if s.contrast:
        then(keras.layers.RandomContrast(s.contrast, seed=seed + 3, **light))
    if s.saturation or s.hue:
        then(RandomTint(seed + 5, saturation=s.saturation, hue=s.hue))
    if s.blur:
        then(RandomBlur(seed + 6, blur=s.blur))
    if s.noise:
        then(RandomNoise(seed + 7, noise=s.noise))
    if s.erase:
        then(RandomErasing(seed + 8, erase=s.erase))
    return x


def mix(pixels: keras.KerasTensor, settings: Augmentation, seed: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """MixUp and CutMix of photos [N, H, W, 3]: the mixed photos, and the share of the photo itself, float32 [N, 1]."""
    return Mix(seed + 9, mixup=settings.mixup, cutmix=settings.cutmix)(pixels)
