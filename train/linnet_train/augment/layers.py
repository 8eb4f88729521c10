"""Augmentation as Keras layers: computed where the network is, in training steps only."""

from __future__ import annotations

import keras

from linnet_train.augment.geometry import RandomAffine, RandomTurn

_SHIFT = 0.08  # of the picture's side
_ZOOM = 0.12
_CONTRAST = 0.2
_BRIGHTNESS = 0.1  # of 255
_PIXELS = (0, 255)


def augment(pixels: keras.KerasTensor, view: str, seed: int) -> keras.KerasTensor:
    """Photos as the camera might have seen them too.

    Args:
        pixels: uint8 [N, H, W, 3].
        view: "upright", where left and right may be exchanged; "overhead", where a camera looks down on things that
            lie any way round (H must equal W); "none".
        seed: of the choices.

    Returns:
        The pixels unchanged for "none", else float32 of the same shape and range: turned, moved, zoomed, lighter or
        darker, each photo in its own way.
    """
    if view == "none":
        return pixels
    x = keras.layers.Rescaling(1.0)(pixels)  # to float32: oneDNN has no transpose of uint8
    x = keras.layers.RandomFlip("horizontal", seed=seed)(x) if view == "upright" else RandomTurn(seed)(x)
    x = RandomAffine(_SHIFT, _ZOOM, seed + 1)(x)
    x = keras.layers.RandomBrightness(_BRIGHTNESS, value_range=_PIXELS, seed=seed + 2)(x)
    return keras.layers.RandomContrast(_CONTRAST, value_range=_PIXELS, seed=seed + 3)(x)
