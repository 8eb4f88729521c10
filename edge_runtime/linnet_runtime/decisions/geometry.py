"""Polygons: area, edges that cross, and which pixels are inside."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]


def polygon_area(corners: Sequence[Point]) -> float:
    """The area in the unit of the corners, squared, by the shoelace formula; rounding errors count as 0."""
    around = zip(corners, (*corners[1:], corners[0]), strict=True)
    area = abs(math.fsum(x * next_y - next_x * y for (x, y), (next_x, next_y) in around)) / 2
    return area if area > 1e-12 else 0.0


def crossing_edges(corners: Sequence[Point]) -> tuple[int, int] | None:
    """The numbers of two edges that have a point in common, though they are not neighbours; edge i begins at corner i.
    None where the outline is simple.
    """
    count = len(corners)
    for i in range(count):
        for j in range(i + 2, count):
            if i == 0 and j == count - 1:
                continue  # neighbours too
            if _meet(corners[i], corners[i + 1], corners[j], corners[(j + 1) % count]):
                return i, j
    return None


def in_order(corners: Sequence[Point]) -> list[Point]:
    """The same corners in the order of their angle around their mean: an outline that does not cross itself."""
    x, y = (math.fsum(corner[axis] for corner in corners) / len(corners) for axis in (0, 1))
    return sorted(corners, key=lambda corner: math.atan2(corner[1] - y, corner[0] - x))


def inside_polygon(corners: Sequence[Point], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of the grid x [W] by y [H] are inside, bool [H, W]: a ray from such a point crosses the outline an
    odd number of times.
    """
    inside = np.zeros((len(y), len(x)), bool)
    for (x1, y1), (x2, y2) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y1 == y2:
            continue
        rows = (y1 <= y) != (y2 <= y)
        at = x1 + (y - y1) * ((x2 - x1) / (y2 - y1))
        inside ^= rows[:, None] & (x[None, :] < at[:, None])
    return inside


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the segments a-b and c-d have a point in common."""
    sides = _side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    on = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(side == 0 and _between(*three) for side, three in zip(sides, on, strict=True))


def _side(a: Point, b: Point, point: Point) -> float:
    """Above 0 on one side of the line a-b, below 0 on the other, 0 on it."""
    side = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    return side if abs(side) > 1e-12 else 0.0


def _between(a: Point, b: Point, point: Point) -> bool:
    """Whether a point of the line a-b is on the segment."""
    return all(min(a[axis], b[axis]) <= point[axis] <= max(a[axis], b[axis]) for axis in (0, 1))
