"""RandAugment: random operations for each photo, all at one magnitude."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from linnet_train.augment.color import LUMA
from linnet_train.augment.geometry import warp
from linnet_train.augment.random_layer import RandomLayer

_OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "colour",
    "contrast",
    "autocontrast",
    "sharpness",
    "posterize",
    "solarize",
    "equalize",
)
# The values at magnitude 10: Cubuk et al., "AutoAugment" (2018), table 6.
_SHEAR, _TRANSLATE, _ROTATE, _ENHANCE = 0.3, 0.45, math.radians(30), 0.9
_BITS_LOST = 4
_LEVELS = 256
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # Pillow's


class RandAugment(RandomLayer):
    """Applies ``operations`` random operations to each photo, one after the other, at ``magnitude`` of 0..10.

    The 14 operations are those of Cubuk et al., "RandAugment: practical automated data augmentation with a reduced
    search space" (2019). Directions are random. Geometric operations are computed first, in one interpolation.

    Keras's RandAugment draws once for a whole batch and computes every operation in each round, which takes longer than
    a training step of a small network.
    """

    def __init__(self, seed: int, *, operations: int, magnitude: float) -> None:
        super().__init__(seed)
        self._operations, self._magnitude = operations, magnitude / 10

    def vary(self, pixels: Any) -> Any:
        photos = ops.shape(pixels)[0]
        shape = (self._operations, photos)
        drawn = keras.random.randint(shape, 0, len(_OPERATIONS), seed=self._generator)
        strength = ops.where(self.uniform(shape, 0.0, 1.0) < 0.5, -self._magnitude, self._magnitude)
        pixels = self._moved(pixels, drawn, strength)
        for i in range(self._operations):
            of_photo = (ops.reshape(values[i], (-1, 1, 1, 1)) for values in (drawn, strength))
            pixels = self._recolored(pixels, *of_photo)
        return pixels

    def _moved(self, pixels: Any, drawn: Any, strength: Any) -> Any:
        height, width = pixels.shape[1:3]
        zeros, ones = ops.zeros_like(strength[0]), ops.ones_like(strength[0])
        xx, xy, yx, yy, x, y = ones, zeros, zeros, ones, zeros, zeros
        for i in range(self._operations):

            def only(name: str, most: float, i: int = i) -> Any:
                return ops.where(drawn[i] == _OPERATIONS.index(name), most * strength[i], 0.0)

            shear_x, shear_y, angle = only("shear_x", _SHEAR), only("shear_y", _SHEAR), only("rotate", _ROTATE)
            x, y = x + only("translate_x", _TRANSLATE * width), y + only("translate_y", _TRANSLATE * height)
            sine, cosine = ops.sin(angle), ops.cos(angle)
            # At most one of the three is not the identity.
            axx, axy, ayx, ayy = cosine, shear_x - sine, shear_y + sine, cosine
            xx, xy, yx, yy = axx * xx + axy * yx, axx * xy + axy * yy, ayx * xx + ayy * yx, ayx * xy + ayy * yy
            x, y = axx * x + axy * y, ayx * x + ayy * y
        return warp(pixels, (xx, xy, yx, yy), x, y)

    def _recolored(self, pixels: Any, drawn: Any, strength: Any) -> Any:
        """One round of the color operations, each on the photos that drew it."""

        def drew(name: str) -> Any:
            return drawn == _OPERATIONS.index(name)

        luma = ops.matmul(pixels, LUMA[:, None])
        mean = ops.mean(luma, axis=(1, 2), keepdims=True)
        least, most = ops.min(pixels, axis=(1, 2), keepdims=True), ops.max(pixels, axis=(1, 2), keepdims=True)
        stretch = 255.0 / ops.maximum(most - least, 1.0)
        # An enhancement is a blend with black, with the photo's mean, with its gray levels, or with the smoothed photo.
        change = _ENHANCE * strength
        factor = ops.where(drew("brightness") | drew("colour") | drew("contrast"), 1.0 + change, 1.0)
        factor = ops.where(drew("autocontrast"), stretch, factor)
        offset = ops.where(drew("contrast"), -change * mean, 0.0)
        offset = ops.where(drew("autocontrast"), -least * stretch, offset)
        outputs = factor * pixels + (offset + ops.where(drew("colour"), -change, 0.0) * luma)
        outputs = outputs + ops.where(drew("sharpness"), change, 0.0) * (pixels - _smoothed(pixels))
        step = 2.0 ** round(_BITS_LOST * self._magnitude)
        outputs = ops.where(drew("posterize"), ops.floor(pixels / step) * step, outputs)
        brightest = ops.where(drew("solarize"), _LEVELS * (1.0 - self._magnitude), np.inf)
        outputs = ops.where(pixels >= brightest, 255.0 - pixels, outputs)
        outputs = ops.where(drew("equalize"), _equalized(pixels), outputs)
        return ops.clip(outputs, 0.0, 255.0)


def _smoothed(pixels: Any) -> Any:
    kernel = np.repeat(_SMOOTH[..., None, None], 3, axis=2)
    padded = ops.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    return ops.depthwise_conv(padded, kernel, padding="valid", data_format="channels_last")


def _equalized(pixels: Any) -> Any:
    """Equalizes the histogram of each color of each photo."""
    photos, (height, width) = ops.shape(pixels)[0], pixels.shape[1:3]
    histograms = photos * 3
    level = ops.cast(ops.transpose(pixels, (0, 3, 1, 2)), "int32")
    level = ops.reshape(level, (-1, height * width)) + _LEVELS * ops.arange(histograms, dtype="int32")[:, None]
    level = ops.reshape(level, (-1,))
    counts = ops.segment_sum(ops.ones_like(level), level, num_segments=histograms * _LEVELS)
    below = ops.cumsum(ops.reshape(ops.cast(counts, "float32"), (-1, _LEVELS)), axis=1)
    darkest = ops.min(ops.where(below > 0, below, height * width), axis=1, keepdims=True)
    table = 255.0 * (below - darkest) / ops.maximum(height * width - darkest, 1.0)
    flat = ops.take(ops.reshape(ops.maximum(table, 0.0), (-1,)), level)
    return ops.transpose(ops.reshape(flat, (-1, 3, height, width)), (0, 2, 3, 1))
