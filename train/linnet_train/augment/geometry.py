"""Layers that move a photo: mirrored, turned, and everything else in one interpolation."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

_ASPECT = 4 / 3  # of a crop at most; Szegedy et al., "Going deeper with convolutions" (2015)


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
    """Each photo moved by up to ``shift`` of its side, zoomed by up to ``zoom``, turned by up to ``rotate`` degrees and
    cropped to no less than ``crop`` of its area, at an aspect of 3:4 to 4:3, in one interpolation.

    What comes in from outside is the photo mirrored at its edge.
    """

    def __init__(
        self, shift: float, zoom: float, seed: int, rotate: float = 0.0, crop: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shift, self.zoom, self.rotate, self.crop, self.seed = shift, zoom, rotate, crop, seed
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        if not training:
            return inputs
        photos, (height, width) = ops.shape(inputs)[0], inputs.shape[1:3]
        random = keras.random.uniform((3, photos), -1.0, 1.0, seed=self._generator)
        scale_x = scale_y = 1.0 + self.zoom * random[0]
        x, y = self.shift * width * random[1], self.shift * height * random[2]
        if self.crop < 1:
            area = keras.random.uniform((photos,), self.crop, 1.0, seed=self._generator)
            aspect = math.log(_ASPECT) / 2
            stretch = ops.exp(keras.random.uniform((photos,), -aspect, aspect, seed=self._generator))
            where = keras.random.uniform((2, photos), -0.5, 0.5, seed=self._generator)
            share_x = ops.minimum(ops.sqrt(area) * stretch, 1.0)
            share_y = ops.minimum(ops.sqrt(area) / stretch, 1.0)
            x, y = x + where[0] * (1 - share_x) * width, y + where[1] * (1 - share_y) * height
            scale_x, scale_y = scale_x * share_x, scale_y * share_y
        zeros = ops.zeros_like(x)
        if not self.rotate:
            return warp(inputs, (scale_x, zeros, zeros, scale_y), x, y)
        most = math.radians(self.rotate)
        angle = keras.random.uniform((photos,), -most, most, seed=self._generator)
        sine, cosine = ops.sin(angle), ops.cos(angle)
        return warp(inputs, (cosine * scale_x, -sine * scale_y, sine * scale_x, cosine * scale_y), x, y)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("shift", "zoom", "rotate", "crop", "seed")}
        return {**super().get_config(), **own}


def warp(pixels: Any, matrix: tuple[Any, Any, Any, Any], x: Any, y: Any) -> Any:
    """Photos float32 [N, H, W, C], each resampled by a map from the output's pixels to the input's.

    Args:
        pixels: the photos.
        matrix: (xx, xy, yx, yy), each [N]: applied to a pixel's place from the middle of the photo.
        x: [N] pixels, added to it.
        y: [N] pixels, added to it.
    """
    height, width = pixels.shape[1:3]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    xx, xy, yx, yy = matrix
    zeros = ops.zeros_like(x)
    transform = ops.stack(
        [
            *(xx, xy, middle_x - xx * middle_x - xy * middle_y + x),
            *(yx, yy, middle_y - yx * middle_x - yy * middle_y + y),
            *(zeros, zeros),
        ],
        axis=1,
    )
    return ops.image.affine_transform(pixels, transform, interpolation="bilinear", fill_mode="reflect")
