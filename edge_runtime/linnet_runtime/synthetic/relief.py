"""The relief of a part, which is the height of its visible surface above the belt, and shared geometry.

A relief has no colour and no light; shading.py adds both. Lengths are in pixels of the relief.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]

MARGIN = 3  # empty pixels around a part, so that its edge is antialiased when the relief is warped
SUBPIXEL_BITS = 3  # of the coordinates given to OpenCV's drawing functions


@dataclass(frozen=True)
class Relief:
    """A part without colour or light, seen from above."""

    height: Array
    """float32 [H, W], pixels; only its slope matters."""
    cover: Mask
    """uint8 [H, W]: 255 where the part is, 0 where the belt shows."""
    shade: Array
    """float32 [H, W]: the fraction of the light that reaches the surface; recesses and walls get less."""
    lean: tuple[float, float] = (0.0, 0.0)
    """Slope of the whole part along x and y; the part is foreshortened in this direction when it is placed."""


def axes(height: int, width: int) -> tuple[Array, Array]:
    """X as float32 [1, W] and y as float32 [H, 1], in pixels from the middle."""
    x = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    y = np.arange(height, dtype=np.float32) - np.float32((height - 1) / 2)
    return x[None, :], y[:, None]


def to_fixed(points: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    """Points in pixels as the fixed-point numbers that OpenCV draws with, given SUBPIXEL_BITS as its shift."""
    fixed: npt.NDArray[np.int32] = np.rint(points * (1 << SUBPIXEL_BITS)).astype(np.int32)
    return fixed


def half_chord(radius: Array | float, y: Array) -> Array:
    """Height of a cylinder of this radius, lying along x, at y."""
    height: Array = np.sqrt(np.maximum(np.square(radius) - np.square(y), 0)).astype(np.float32, copy=False)
    return height


def hexagon(u: Array, y: Array, roll: float) -> Array:
    """Distance from the middle along the nearest flat's normal: a hexagon is where this is below its apothem."""
    flats = [np.abs(u * math.cos(a) + y * math.sin(a)) for a in (roll, roll + math.pi / 3, roll + 2 * math.pi / 3)]
    return np.maximum(np.maximum(flats[0], flats[1]), flats[2]).astype(np.float32, copy=False)


def draw_line(mask: Mask, points: npt.NDArray[np.floating], value: int, thickness: float) -> None:
    """Draws an antialiased line through points [N, 2] in pixels."""
    cv2.polylines(mask, [to_fixed(points)], False, value, max(round(thickness), 1), cv2.LINE_AA, SUBPIXEL_BITS)
