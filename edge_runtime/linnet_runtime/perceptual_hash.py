"""A perceptual hash: pictures that look the same have hashes that differ in few bits. Internal.

The hash is pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010) with 255 bits
instead of 63: with 63 bits, different things in front of one background have close hashes. A hash holds neither
brightness nor color, so two pictures also have to agree in both.

The cosine transform of a turned or mirrored picture has the same coefficients in other places and with other signs, so
no picture is transformed for its eight orientations.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Pixels

SIDE = 64  # pixels of the picture that is hashed
BITS = 255
# The limit for near duplicates. In 99 of 100 real photos, encoding again (JPEG quality 50), resizing and noise change
# up to 20 bits, and cutting 2 % off each side up to 58. Photos of different things differ in about 127. In TrashNet and
# the sign-language digits, every pair at 32 or below shows one scene.
NEAR = 32
_LOW = 16  # the lowest frequencies of the cosine transform, each way; the constant is left out
_GRID = 8
_CHROMA = 32  # of 255: the most by which Cr or Cb of a cell may differ; second shots of a scene differ by up to 20
_LUMA = 64  # of 255: the most by which brightness may differ in the mean; second shots differ by up to 38


class Orientation(NamedTuple):
    """One of the eight orientations of a photo. The steps are applied in the order of the fields."""

    transposed: bool
    upside_down: bool
    mirrored: bool


ORIENTATIONS = [Orientation(*steps) for steps in itertools.product((False, True), repeat=3)]
"""The first one is that of the photo itself."""


def perceptual_hashes(pixels: Pixels) -> NDArray[np.uint8]:
    """uint8 RGB [64, 64, 3] to uint8 [8, 32], one hash for each of ``ORIENTATIONS``.

    A bit is set if its low frequency of the brightness is above the median of all of them.
    """
    brightness = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(brightness)[:_LOW, :_LOW]
    return np.stack([_bits(_turned_frequencies(low, turn)) for turn in ORIENTATIONS])


def _bits(low: NDArray[np.float32]) -> NDArray[np.uint8]:
    values = low.ravel()[1:]
    return np.packbits(values > np.median(values))


def _turned_frequencies(low: NDArray[np.float32], turn: Orientation) -> NDArray[np.float32]:
    """The low frequencies of the photo in another orientation: a mirrored cosine of odd frequency changes its sign."""
    signs = np.where(np.arange(_LOW) % 2, np.float32(-1), np.float32(1))
    low = low.T if turn.transposed else low
    low = low * signs[:, None] if turn.upside_down else low
    return low * signs if turn.mirrored else low


def color_grid(pixels: Pixels) -> NDArray[np.uint8]:
    """uint8 RGB [64, 64, 3] to YCrCb in 8 x 8 cells, uint8 [8, 8, 3]."""
    return cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), (_GRID, _GRID), interpolation=cv2.INTER_AREA)


def same_colors(first: NDArray[np.int16], second: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Whether pictures agree in brightness and color: bool [...] for int16 [..., 8, 8, 3], of ``color_grid``."""
    difference = np.abs(first - second)
    alike = difference[..., 0].mean(axis=(-1, -2)) <= _LUMA
    return alike & (difference[..., 1:].max(axis=(-1, -2, -3)) <= _CHROMA)
