"""Layers that mirror, turn, shift, zoom and crop photos."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from linnet_train.augment.random_layer import RandomLayer

_ASPECT = 4 / 3  # the largest aspect ratio of a crop; Szegedy et al., "Going deeper with convolutions" (2015)


class RandomTurn(RandomLayer):
    """Turns each square photo by a random multiple of 90 degrees, mirrored or not: the eight orientations."""

    def vary(self, pixels: Any) -> Any:
        choices = self.uniform((3, ops.shape(pixels)[0], 1, 1, 1), 0.0, 1.0) < 0.5
        pixels = ops.where(choices[0], ops.flip(pixels, axis=1), pixels)
        pixels = ops.where(choices[1], ops.flip(pixels, axis=2), pixels)
        return ops.where(choices[2], ops.transpose(pixels, (0, 2, 1, 3)), pixels)


class RandomAffine(RandomLayer):
    """Shifts each photo by up to ``shift`` of its side, zooms it by up to ``zoom``, turns it by up to ``rotate``
    degrees, and crops it to at least ``crop`` of its area at an aspect ratio of 3:4 to 4:3, all in one interpolation.

    Pixels from outside the photo are those of the photo mirrored at its edge.
    """

    def __init__(self, seed: int, *, shift: float, zoom: float, rotate: float, crop: float) -> None:
        super().__init__(seed)
        self._shift, self._zoom, self._rotate, self._crop = shift, zoom, math.radians(rotate), crop

    def vary(self, pixels: Any) -> Any:
        photos, (height, width) = ops.shape(pixels)[0], pixels.shape[1:3]
        random = self.uniform((3, photos), -1.0, 1.0)
        scale_x = scale_y = 1.0 + self._zoom * random[0]
        x, y = self._shift * width * random[1], self._shift * height * random[2]
        if self._crop < 1:
            side = ops.sqrt(self.uniform((photos,), self._crop, 1.0))
            stretch = ops.exp(self.uniform((photos,), -0.5, 0.5) * math.log(_ASPECT))
            share_x, share_y = ops.minimum(side * stretch, 1.0), ops.minimum(side / stretch, 1.0)
            place = self.uniform((2, photos), -0.5, 0.5)
            x, y = x + place[0] * (1 - share_x) * width, y + place[1] * (1 - share_y) * height
            scale_x, scale_y = scale_x * share_x, scale_y * share_y
        angle = self.uniform((photos,), -self._rotate, self._rotate) if self._rotate else ops.zeros_like(x)
        sine, cosine = ops.sin(angle), ops.cos(angle)
        return warp(pixels, (cosine * scale_x, -sine * scale_y, sine * scale_x, cosine * scale_y), x, y)


def warp(pixels: Any, matrix: tuple[Any, Any, Any, Any], x: Any, y: Any) -> Any:
    """Photos resampled by an affine map from the pixels of the output to those of the input.

    Args:
        pixels: float32 [N, H, W, 3].
        matrix: (xx, xy, yx, yy), each [N], applied to the position of an output pixel relative to the photo's center.
        x: [N], added to the horizontal position, in pixels.
        y: [N], added to the vertical position, in pixels.
    """
    height, width = pixels.shape[1:3]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    xx, xy, yx, yy = matrix
    x = x + middle_x - xx * middle_x - xy * middle_y
    y = y + middle_y - yx * middle_x - yy * middle_y
    zeros = ops.zeros_like(x)
    transform = ops.stack([xx, xy, x, yx, yy, y, zeros, zeros], axis=1)
    return ops.image.affine_transform(pixels, transform, interpolation="bilinear", fill_mode="reflect")
