"""Layers that change the colors, the sharpness and the noise of photos."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops, random

from linnet_train.augment.random_layer import RandomLayer

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, of R, G and B
# RGB to luma and two axes of color (NTSC's YIQ). A rotation of the two changes the hue, a factor the saturation.
_TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


class RandomTint(RandomLayer):
    """Multiplies the saturation of each photo by 1 ± ``saturation``, and turns its hue by up to ``hue`` of the circle.

    Both are one matrix for each photo, which does not change the luma. A conversion to HSV would take five times as
    long.
    """

    def __init__(self, seed: int, *, saturation: float, hue: float) -> None:
        super().__init__(seed)
        self._saturation, self._hue = saturation, 2 * math.pi * hue

    def vary(self, pixels: Any) -> Any:
        choices = self.uniform((2, ops.shape(pixels)[0]), -1.0, 1.0)
        factor, angle = 1.0 + self._saturation * choices[0], self._hue * choices[1]
        sine, cosine = factor * ops.sin(angle), factor * ops.cos(angle)
        zeros, ones = ops.zeros_like(sine), ops.ones_like(sine)
        entries = [ones, zeros, zeros, zeros, cosine, -sine, zeros, sine, cosine]
        turn = ops.reshape(ops.stack(entries, axis=1), (-1, 3, 3))
        matrix = ops.matmul(ops.matmul(_FROM_YIQ, turn), _TO_YIQ)
        height, width = pixels.shape[1:3]
        flat = ops.reshape(pixels, (-1, height * width, 3))
        tinted = ops.matmul(flat, ops.transpose(matrix, (0, 2, 1)))
        return ops.clip(ops.reshape(tinted, (-1, height, width, 3)), 0.0, 255.0)


class RandomBlur(RandomLayer):
    """Blurs each photo with a Gaussian whose standard deviation is random, up to ``blur`` pixels."""

    def __init__(self, seed: int, *, blur: float) -> None:
        super().__init__(seed)
        self._blur = blur

    def vary(self, pixels: Any) -> Any:
        sigma = self.uniform((ops.shape(pixels)[0], 1, 1), 0.0, self._blur) + 1e-3
        height, width = pixels.shape[1:3]
        rows, columns = _gaussians(height, sigma), _gaussians(width, sigma)
        blurred = ops.matmul(rows, ops.reshape(pixels, (-1, height, width * 3)))
        # The columns of the picture are the rows of each color's transpose.
        blurred = ops.reshape(blurred, (-1, height, width, 3))
        return ops.einsum("nij,nhjc->nhic", columns, blurred)


def _gaussians(side: int, sigma: Any) -> Any:
    """[N, side, side]: the weight of each pixel of a line in every blurred pixel. The sum is 1, at the edges too."""
    distance = np.subtract.outer(np.arange(side), np.arange(side)).astype(np.float32)
    return ops.softmax(-ops.square(distance / sigma) / 2, axis=-1)


class RandomNoise(RandomLayer):
    """Adds Gaussian noise with a random standard deviation, up to ``noise`` * 255, to each photo.

    Keras's GaussianNoise takes no standard deviation above 1.
    """

    def __init__(self, seed: int, *, noise: float) -> None:
        super().__init__(seed)
        self._noise = noise

    def vary(self, pixels: Any) -> Any:
        deviation = self.uniform((ops.shape(pixels)[0], 1, 1, 1), 0.0, self._noise * 255)
        noise = random.normal(ops.shape(pixels), dtype="float32", seed=self._generator)
        return ops.clip(pixels + deviation * noise, 0.0, 255.0)
