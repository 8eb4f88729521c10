"""Parts made on a lathe, lying on their side: a bolt, a screw and a spring.

The head is on the left and may be raised towards the camera. The axis of the part runs along x. ``along`` is the
distance on the axis from the end face of the head, which the raise shortens; ``surface`` is a height above the axis.
The ranges in the code are proportions of real parts: of the radius of a bolt or a screw, and of the length of a spring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from linnet_runtime.synthetic.relief import (
    MARGIN,
    SUBPIXEL_BITS,
    Array,
    Relief,
    axes,
    half_chord,
    hexagon,
    to_fixed,
)

_MAX_RAISE = math.radians(32)  # of the head towards the camera
_RAISED_CHANCE = 0.5
_FLAT_VIEW = math.radians(6)  # a head raised less than this shows no end face worth drawing
_RECESS_SHADE = 0.25
_POINTS_PER_TURN = 24  # of the polyline that draws a spring
_INNER_SHADE = 0.55  # of the far half of a spring's turns


@dataclass(frozen=True)
class _Side:
    """The view of a turned part from above."""

    x: Array
    """float32 [1, W]: pixels from the middle of the head's end face."""
    y: Array
    """float32 [H, 1]: pixels from the axis."""
    raise_: float
    """Angle by which the head is raised, in radians."""

    @classmethod
    def of(cls, length: float, radius: float, rng: np.random.Generator) -> _Side:
        raise_ = float(rng.uniform(0, _MAX_RAISE)) * float(rng.random() < _RAISED_CHANCE)
        width = length * math.cos(raise_) + 2 * radius * math.sin(raise_)
        x, y = axes(math.ceil(2 * radius) + 2 * MARGIN, math.ceil(width) + 2 * MARGIN)
        return cls(x - x[0, 0] - np.float32(MARGIN + radius * math.sin(raise_)), y, raise_)

    def along(self, surface: Array) -> Array:
        """Distance along the axis of what is visible at each pixel, for a surface of this height above the axis."""
        return ((self.x - surface * math.sin(self.raise_)) / math.cos(self.raise_)).astype(np.float32, copy=False)

    def height(self, along: Array, surface: Array) -> Array:
        """Height towards the camera of a surface point."""
        return (surface * math.cos(self.raise_) - along * math.sin(self.raise_)).astype(np.float32, copy=False)

    def end_face(self) -> tuple[Array, Array] | None:
        """(u, height) of the plane of the head's end face, with u its coordinate across y; None where it is edge-on."""
        if self.raise_ < _FLAT_VIEW:
            return None
        u = self.x / np.float32(math.sin(self.raise_))
        return u, u * np.float32(math.cos(self.raise_))


class _Stack:
    """A relief under construction: each piece hides what was there before."""

    def __init__(self, height: int, width: int) -> None:
        self.height = np.zeros((height, width), np.float32)
        self.cover = np.zeros((height, width), np.uint8)
        self.shade = np.ones((height, width), np.float32)

    def add(self, where: npt.NDArray[np.bool_], height: Array, shade: float = 1.0) -> None:
        np.copyto(self.height, height, where=where)
        self.cover[where] = 255
        self.shade[where] = shade

    def relief(self) -> Relief:
        return Relief(self.height, self.cover, self.shade)


def _thread(along: Array, y: Array, radius: float, pitch: float) -> Array:
    """Triangle wave of a right-hand helix, 0 in the groove to 1 on the crest."""
    turn = np.arcsin(np.clip(y / radius, -1, 1)) / np.float32(2 * math.pi)
    wave: Array = np.abs(2 * np.mod(along / np.float32(pitch) - turn, 1) - 1).astype(np.float32, copy=False)
    return wave


def _recess(
    stack: _Stack, face: npt.NDArray[np.bool_], u: Array, y: Array, radius: float, rng: np.random.Generator
) -> None:
    """Cuts a cross or a slot into an end face."""
    roll = rng.uniform(0, math.pi)
    a, b = u * math.cos(roll) + y * math.sin(roll), y * math.cos(roll) - u * math.sin(roll)
    slot = (np.abs(a) < 0.13 * radius) & (np.abs(b) < radius * 0.95)
    if rng.random() < 0.65:
        slot = (np.abs(a) < 0.16 * radius) & (np.abs(b) < 0.6 * radius)
        slot |= (np.abs(b) < 0.16 * radius) & (np.abs(a) < 0.6 * radius)
    stack.shade[slot & face] = _RECESS_SHADE


def bolt(length: int, rng: np.random.Generator) -> Relief:
    """A stout shank with a fine thread, all of it or its end, a flat end and a hexagon head."""
    shank = 0.5 * length * rng.uniform(0.21, 0.33)
    apothem = shank * rng.uniform(1.6, 1.85)
    corner, head_end = apothem / math.cos(math.pi / 6), shank * rng.uniform(1.1, 1.7)
    side = _Side.of(length, corner, rng)
    stack = _Stack(side.y.size, side.x.size)

    along = side.along(half_chord(shank, side.y))
    threaded = along > head_end + (length - head_end) * rng.choice([0.0, 0.25, 0.5])
    groove = shank * rng.uniform(0.12, 0.2) * (1 - _thread(along, side.y, shank, shank * rng.uniform(0.32, 0.5)))
    chamfer = np.maximum(along - (length - 0.25 * shank), 0)
    radius = (shank - groove * threaded - chamfer).astype(np.float32, copy=False)
    surface = half_chord(radius, side.y)
    stack.add((np.abs(side.y) < radius) & (along >= 0) & (along <= length), side.height(along, surface))

    roll = float(rng.uniform(0, math.pi / 3))
    flats = [roll + k * math.pi / 3 for k in range(-3, 4)]
    facets = [(apothem - side.y * math.sin(a)) / math.cos(a) for a in flats if math.cos(a) > 0.05]
    top = np.min(facets, axis=0).astype(np.float32, copy=False)
    reach = max(abs(math.sin(a + math.pi / 6)) for a in flats) * corner
    along = side.along(np.maximum(top, 0))
    rim = corner * (0.9 + 0.1 * along / (0.35 * head_end))  # the conical chamfer that leaves arcs on the flats
    surface = np.minimum(top, half_chord(rim.astype(np.float32, copy=False), side.y))
    stack.add(
        (np.abs(side.y) < np.minimum(reach, rim)) & (along >= 0) & (along <= head_end), side.height(along, surface)
    )
    if end := side.end_face():
        u, plane = end
        stack.add((hexagon(u, side.y, roll) < apothem) & (np.hypot(u, side.y) < 0.93 * corner), plane)
    return stack.relief()


def screw(length: int, rng: np.random.Generator) -> Relief:
    """A slender, tapered shank with a coarse thread and a point; a countersunk or a pan head with a cross or a slot."""
    crest = 0.5 * length * rng.uniform(0.11, 0.17)
    head, head_end = crest * rng.uniform(1.8, 2.3), crest * rng.uniform(1.0, 1.5)
    side = _Side.of(length, head, rng)
    stack = _Stack(side.y.size, side.x.size)

    along = side.along(half_chord(crest, side.y))
    tip = crest * rng.uniform(3.5, 7.0)
    taper = np.sqrt(np.clip((length - along) / tip, 0, 1)) * (1 - 0.15 * along / length)
    ridge = np.maximum(2 * _thread(along, side.y, crest, crest * rng.uniform(0.7, 1.1)) - 1, 0)  # narrow, far apart
    smooth = along < head_end + (length - head_end) * rng.choice([0.0, 0.15, 0.35])
    core = rng.uniform(0.62, 0.75)
    radius = (crest * taper * np.where(smooth, 0.85, core + (1 - core) * ridge)).astype(np.float32, copy=False)
    stack.add(
        (np.abs(side.y) < radius) & (along >= 0) & (along <= length), side.height(along, half_chord(radius, side.y))
    )

    countersunk = rng.random() < 0.5
    along = side.along(half_chord(head, side.y))
    part = np.clip(along / head_end, 0, 1)
    profile = 1 - part * (1 - crest / head) if countersunk else 0.72 + 0.28 * np.sqrt(1 - np.square(1 - part))
    radius = (head * profile).astype(np.float32, copy=False)
    stack.add(
        (np.abs(side.y) < radius) & (along >= 0) & (along <= head_end), side.height(along, half_chord(radius, side.y))
    )
    if end := side.end_face():
        u, plane = end
        face_radius = head if countersunk else 0.95 * head
        face = np.hypot(u, side.y) < face_radius
        dome = 0.0 if countersunk else 0.3 / head * (np.square(u) + np.square(side.y))
        stack.add(face, (plane - dome).astype(np.float32, copy=False))
        _recess(stack, face, u, side.y, face_radius, rng)
    return stack.relief()


def spring(length: int, rng: np.random.Generator) -> Relief:
    """A compression spring, its end turns wound close."""
    wire = length * rng.uniform(0.025, 0.04)
    coil = length * rng.uniform(0.15, 0.25)  # the radius of the wire's middle
    closed = 2.1 * wire  # pitch of the first and the last turn
    turns = int(rng.integers(5, min(13, int(length / (1.35 * closed)))))
    side = _Side.of(length, coil + wire, rng)
    stack = _Stack(side.y.size, side.x.size)
    angle = np.linspace(0, 2 * math.pi * turns, _POINTS_PER_TURN * turns + 1)
    pitch = (length - 2 * wire - 2 * closed) / (turns - 2)
    axis = wire + np.interp(
        angle / (2 * math.pi), (0, 1, turns - 1, turns), (0, closed, closed + pitch * (turns - 2), length - 2 * wire)
    )
    up = coil * np.sin(angle)
    seen = np.stack([axis * math.cos(side.raise_) + up * math.sin(side.raise_), coil * np.cos(angle)], axis=1)
    seen += (-float(side.x[0, 0]), -float(side.y[0, 0]))
    thickness = max(round(2 * wire), 2)
    half_turn = _POINTS_PER_TURN // 2
    for front in (False, True):
        layer = np.zeros_like(stack.cover)
        halves = np.split(seen, np.arange(half_turn, len(seen) - 1, half_turn))
        for k, half in enumerate(halves):
            if (k % 2 == 0) == front:  # the sine is positive, the wire on top, in each turn's first half
                joined = np.vstack([half, halves[k + 1][:1]]) if k + 1 < len(halves) else half
                cv2.polylines(layer, [to_fixed(joined)], False, 255, thickness, cv2.LINE_8, SUBPIXEL_BITS)
        depth = cv2.distanceTransform(layer, cv2.DIST_L2, 3)
        tube = cv2.GaussianBlur(half_chord(wire, wire - np.minimum(depth, wire)), (0, 0), 0.3 * wire)
        tube += np.float32(2 * coil if front else 0.0)
        stack.add(layer > 0, tube, 1.0 if front else _INNER_SHADE)
    return stack.relief()
