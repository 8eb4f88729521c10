"""Cuts a region out of a frame, and turns it.

A region is stated in the frame as it is seen after its rotation. Only the region is turned: the rotated frame is never
made.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError
from linnet_runtime.decisions.geometry import Point, inside_polygon
from linnet_runtime.decisions.settings import Region, Rotation

OUTSIDE = 128
"""The value of every channel outside of a polygon and inside its bounding box: the zero of a model's input."""

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def cut(pixels: NDArray[np.uint8], region: Region | None, rotate: Rotation = 0) -> NDArray[np.uint8]:
    """A region of a frame, as it is seen after the frame's rotation.

    Args:
        pixels: uint8 [H, W, 3] or [H, W].
        region: None is the whole frame.
        rotate: degrees clockwise.

    Returns:
        uint8 [h, w, 3] or [h, w]. It is a view of ``pixels`` for a rectangle without rotation, else a new array. The
        rectangle's edges are rounded to whole pixels. A pixel belongs to a polygon where its centre is inside; the
        others of the bounding box are ``OUTSIDE``.

    Raises:
        LinnetError: the region is smaller than one pixel of this frame.
    """
    height, width = pixels.shape[:2] if rotate in (0, 180) else pixels.shape[1::-1]
    if region is None:
        part = pixels
    else:
        left, top, right, bottom = _box(region, height, width)
        rows, columns = _unturned(left, top, right, bottom, height=height, width=width, rotate=rotate)
        part = pixels[rows, columns]
    if rotate:
        part = cv2.rotate(part, _TURNS[rotate])
    if region is None or region.polygon is None:
        return part
    mask = _mask(region.polygon, (left, top, right, bottom), height, width)
    filled = np.full_like(part, OUTSIDE, order="C")
    cv2.copyTo(part, mask, filled)
    return filled


def _box(region: Region, height: int, width: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a region in a frame of that size, in whole pixels."""
    x, y, share_x, share_y = region.box
    left, right = round(x * width), min(round((x + share_x) * width), width)
    top, bottom = round(y * height), min(round((y + share_y) * height), height)
    if right <= left or bottom <= top:
        name = f" {region.name!r}" if region.name else ""
        raise LinnetError(
            f"region{name}",
            got=f"{share_x * width:.2g} x {share_y * height:.2g} pixels of a frame of {width} x {height}",
            expected="at least one pixel",
            fix="a larger region",
        )
    return left, top, right, bottom


def _unturned(
    left: int, top: int, right: int, bottom: int, *, height: int, width: int, rotate: Rotation
) -> tuple[slice, slice]:
    """The rows and columns of the frame before its rotation; height and width are those after it."""
    if rotate == 90:  # the rows as seen were columns; the columns as seen were rows from below
        return slice(width - right, width - left), slice(top, bottom)
    if rotate == 180:
        return slice(height - bottom, height - top), slice(width - right, width - left)
    if rotate == 270:
        return slice(left, right), slice(height - bottom, height - top)
    return slice(top, bottom), slice(left, right)


@lru_cache(maxsize=64)
def _mask(polygon: tuple[Point, ...], box: tuple[int, int, int, int], height: int, width: int) -> NDArray[np.uint8]:
    """1 where the centre of a pixel of the box is inside the polygon, else 0: uint8 [h, w]."""
    left, top, right, bottom = box
    x, y = (np.arange(left, right) + 0.5) / width, (np.arange(top, bottom) + 0.5) / height
    return inside_polygon(polygon, x, y).astype(np.uint8)
