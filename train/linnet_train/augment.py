"""Augmentation as Keras layers: computed where the network is, in training steps only."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

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


@keras.saving.register_keras_serializable("linnet")
class RandomTurn(keras.layers.Layer):
    """Each square photo in one of its eight orientations: mirrored or not, turned by a multiple of 90 degrees."""

    def __init__(self, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        choices = keras.random.uniform((3, ops.shape(inputs)[0], 1, 1, 1), seed=self._generator) < 0.5
        outputs = ops.where(choices[0], ops.flip(inputs, axis=1), inputs)
        outputs = ops.where(choices[1], ops.flip(outputs, axis=2), outputs)
        return ops.where(choices[2], ops.transpose(outputs, (0, 2, 1, 3)), outputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("linnet")
class RandomAffine(keras.layers.Layer):
    """Each photo moved by up to ``shift`` of its side and zoomed by up to ``zoom``, in one interpolation.

    What comes in from outside is the photo mirrored at its edge.
    """

    def __init__(self, shift: float, zoom: float, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shift, self.zoom, self.seed = shift, zoom, seed
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        if not training:
            return inputs
        photos, (height, width) = ops.shape(inputs)[0], inputs.shape[1:3]
        random = keras.random.uniform((3, photos), -1.0, 1.0, seed=self._generator)
        scale = 1.0 + self.zoom * random[0]
        # From the output's pixel to the input's: about the middle, then moved.
        x = (1.0 - scale) * (width - 1) / 2 + self.shift * width * random[1]
        y = (1.0 - scale) * (height - 1) / 2 + self.shift * height * random[2]
        zeros = ops.zeros_like(scale)
        transform = ops.stack([scale, zeros, x, zeros, scale, y, zeros, zeros], axis=1)
        return ops.image.affine_transform(inputs, transform, interpolation="bilinear", fill_mode="reflect")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shift": self.shift, "zoom": self.zoom, "seed": self.seed}
