"""Parts that lie flat on the belt: a gear, a nut and a washer.

A flat part may lean, so that its side wall and the far wall of its hole are visible. The ranges in the code are
proportions of real parts.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from linnet_runtime.synthetic.relief import (
    MARGIN,
    SUBPIXEL_BITS,
    Array,
    Mask,
    Relief,
    axes,
    half_chord,
    hexagon,
    to_fixed,
)

_MAX_LEAN = math.radians(28)
_WALL_SLOPE = 3.0  # of a side wall in the relief: steep enough to catch the light as a side does


def _lean(rng: np.random.Generator) -> tuple[float, float]:
    slope = math.tan(float(rng.uniform(0, _MAX_LEAN)))
    direction = float(rng.uniform(0, 2 * math.pi))
    return slope * math.cos(direction), slope * math.sin(direction)


def _canvas(length: int, thickness: float, lean: tuple[float, float]) -> tuple[Array, Array]:
    """X and y from the middle of a flat part's face, on a canvas with room for the side wall that its lean shows."""
    wall_x, wall_y = thickness * lean[0], thickness * lean[1]
    around = length + 2 * MARGIN
    x, y = axes(around + math.ceil(abs(wall_y)), around + math.ceil(abs(wall_x)))
    return x + np.float32(wall_x / 2), y + np.float32(wall_y / 2)


def _flat(cover: Mask, height: Array, thickness: float, lean: tuple[float, float]) -> Relief:
    """Completes a flat part: its edge is rounded, and its lean shows the side wall and the far wall of its hole."""
    bevel = max(0.12 * thickness, 1.5)
    inside = np.minimum(cv2.distanceTransform(cover, cv2.DIST_L2, 3), bevel)
    height = height + half_chord(bevel, bevel - inside)
    swept, reached = cover, 0.0
    step, total = 1.0, thickness * math.hypot(*lean)
    while reached < total:  # doubling the sweep each time takes seven shifts where a hundred would be needed
        step = min(step, total - reached)
        scale = step / total * thickness
        move = np.array([[1, 0, scale * lean[0]], [0, 1, scale * lean[1]]], np.float32)
        shifted = cv2.warpAffine(swept, move, (cover.shape[1], cover.shape[0]), flags=cv2.INTER_NEAREST)
        swept = np.maximum(swept, shifted)
        reached, step = reached + step, reached + step
    wall = (swept > 0) & (cover == 0)
    outside = cv2.distanceTransform(255 - cover, cv2.DIST_L2, 3)
    shade = np.where(wall, np.maximum(0.85 - 0.35 * outside / max(total, 1), 0.5), 1).astype(np.float32)
    return Relief(np.where(wall, -_WALL_SLOPE * outside, height).astype(np.float32, copy=False), swept, shade, lean)


def washer(length: int, rng: np.random.Generator) -> Relief:
    """A flat ring."""
    thickness, lean = length * rng.uniform(0.03, 0.07), _lean(rng)
    x, y = _canvas(length, thickness, lean)
    radius = np.hypot(x, y)
    hole = 0.5 * length * rng.uniform(0.5, 0.7)
    cover = ((radius < 0.5 * length) & (radius > hole)).astype(np.uint8) * 255
    return _flat(cover, np.zeros_like(radius), thickness, lean)


def nut(length: int, rng: np.random.Generator) -> Relief:
    """A thick hexagon with chamfered corners and a threaded hole."""
    thickness, lean = length * rng.uniform(0.3, 0.5), _lean(rng)
    x, y = _canvas(length, thickness, lean)
    radius = np.hypot(x, y)
    apothem = 0.5 * length * math.cos(math.pi / 6)
    hole = apothem * rng.uniform(0.46, 0.56)
    flat = hexagon(x, y, float(rng.uniform(0, math.pi)))
    cover = ((flat < apothem) & (radius < 0.49 * length) & (radius > hole)).astype(np.uint8) * 255
    chamfer = np.maximum(radius - apothem * rng.uniform(0.9, 1.0), 0) * rng.uniform(0.4, 0.8)
    countersink = np.maximum(1.17 * hole - radius, 0)
    relief = _flat(cover, (-chamfer - countersink).astype(np.float32, copy=False), thickness, lean)
    pitch = 0.18 * hole
    relief.shade[(radius < 1.06 * hole) & (np.mod(1.06 * hole - radius, pitch) < 0.5 * pitch)] *= 0.55  # the thread
    return relief


def gear(length: int, rng: np.random.Generator) -> Relief:
    """A spur gear: a plain disc, or one whose web between hub and rim is recessed, drilled or cut into spokes."""
    thickness, lean = length * rng.uniform(0.08, 0.22), _lean(rng)
    x, y = _canvas(length, thickness, lean)
    radius, tip = np.hypot(x, y), 0.5 * length
    teeth = int(rng.integers(10, 25))
    depth = rng.uniform(2.0, 2.6) * 2 / (teeth + 2)  # of a tooth, as a share of the tip's radius: 2.25 modules by rule
    root = tip * (1 - min(depth, 0.3))
    share = np.array([-0.36, -0.17, 0.17, 0.36])  # of a tooth's pitch: a trapezium, wider at its root
    angle = (2 * math.pi / teeth * (np.arange(teeth)[:, None] + share)).ravel()
    reach = np.tile([root, tip, tip, root], teeth)
    outline = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1) - (x[0, 0], y[0, 0])
    cover = np.zeros(radius.shape, np.uint8)
    cv2.fillPoly(cover, [to_fixed(outline)], 255, cv2.LINE_8, SUBPIXEL_BITS)
    bore = tip * rng.uniform(0.12, 0.32)
    cover[radius < bore] = 0
    hub, rim = bore + tip * rng.uniform(0.1, 0.16), root - tip * rng.uniform(0.08, 0.16)
    height = np.zeros_like(radius)
    if rim - hub > 0.15 * tip and rng.random() < 0.75:
        web = (radius > hub) & (radius < rim)
        height = cv2.GaussianBlur(np.where(web, -0.4 * thickness, 0).astype(np.float32), (0, 0), 1.2)
        cover[web & _web_gaps(x, y, hub, rim, rng)] = 0
    return _flat(cover, height, thickness, lean)


def _web_gaps(x: Array, y: Array, hub: float, rim: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Where a gear's web is cut away: between spokes, in round holes, or nowhere."""
    arms, style = int(rng.integers(3, 7)), rng.choice(["whole", "spokes", "holes"])
    sector = 2 * math.pi / arms
    off_axis = sector * np.abs(np.mod(np.arctan2(y, x) / sector, 1) - 0.5)  # angle to the middle of the nearest gap
    if style == "spokes":
        return off_axis < 0.32 * sector
    radius = np.hypot(x, y)
    drill = 0.38 * (rim - hub) if style == "holes" else 0.0
    return np.hypot(off_axis * radius, radius - 0.5 * (hub + rim)) < drill
