"""Turns the relief of a part into pixels: metal, highlights, rust, a tilt towards the camera and a shadow.

Colours and brightness are display values, float32 BGR from 0 (black) to 1 (white); a highlight may exceed 1. The ranges
in the code are chosen by eye, so that parts look like real ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from linnet_runtime.synthetic.light import REFLECTIONS_SIDE, Light, noise_field
from linnet_runtime.synthetic.parts import PARTS
from linnet_runtime.synthetic.relief import Array, Mask, Relief, axes

_PART_SCALE = (0.25, 0.8)  # a part's longest dimension, in short sides of the frame
_SMALLNESS = (1.0, 4.0)  # beta distribution over _PART_SCALE, from the largest down: most photos are taken from near
_SUPERSAMPLE = 1.5  # parts are drawn this much larger and shrunk by area, which antialiases them
SOBEL_TO_SLOPE = 1 / 8  # a 3 x 3 Sobel filter adds up eight differences over one pixel
_BRIGHTEST = 1.6  # of a highlight: enough to stay white under a dim lamp
_CAMERA_DISTANCE = 6.0  # from the part, in part lengths: how strong the perspective of a leaning part is
_PART_HEIGHT = 0.07  # height of a part's middle above the belt in part lengths, which sets its shadow's offset

METALS = (  # BGR; every class comes in every metal, so that colour gives nothing away
    (0.66, 0.66, 0.65),  # bright steel
    (0.52, 0.51, 0.50),  # dull steel
    (0.74, 0.70, 0.66),  # blue zinc
    (0.45, 0.66, 0.74),  # yellow zinc
    (0.32, 0.58, 0.72),  # brass
    (0.36, 0.45, 0.66),  # copper
    (0.17, 0.16, 0.16),  # black oxide
)
_METAL_SHARES = (0.2, 0.16, 0.16, 0.16, 0.14, 0.12, 0.06)
_RUST_CHANCE = 0.2
_RUST = np.array((0.12, 0.24, 0.45), np.float32)


def centred_square(size: tuple[int, int]) -> tuple[int, int, int]:
    """Left, top and side of the centred square of a frame of (height, width)."""
    side = min(size)
    return (size[1] - side) // 2, (size[0] - side) // 2, side


def part_length(size: tuple[int, int], rng: np.random.Generator) -> float:
    """A part's longest dimension in pixels, at random, for a frame of (height, width)."""
    smallest, largest = _PART_SCALE
    return min(size) * (largest - (largest - smallest) * rng.beta(*_SMALLNESS))


def _shade_metal(relief: Relief, light: Light, angle: float, rng: np.random.Generator) -> Array:
    """Premultiplied BGRA float32 [H, W, 4] of a part that will be turned by ``angle``."""
    height, width = relief.height.shape
    smooth = cv2.GaussianBlur(relief.height, (0, 0), 0.7)
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=SOBEL_TO_SLOPE) + np.float32(relief.lean[0])
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=SOBEL_TO_SLOPE) + np.float32(relief.lean[1])
    x, y = axes(height, width)
    bow = np.float32(rng.uniform(0.1, 0.4) / max(height, width))  # no face is quite flat, and the lamp is near
    slope_x, slope_y = slope_x + bow * x, slope_y + bow * y
    wear = rng.uniform(0.0, 0.08)
    grain = noise_field(height, width, 2, rng, stretch=float(rng.choice([1, 1, 12])))
    slope_y += np.float32(wear) * grain
    half = np.float32(REFLECTIONS_SIDE / 2)
    to_table = half / np.sqrt(slope_x * slope_x + slope_y * slope_y + 1)
    table = light.reflections(angle, float(rng.uniform(0.2, 0.8)), rng)
    seen = cv2.remap(
        table, half - slope_x * to_table, half - slope_y * to_table, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    seen *= relief.shade * (1 + np.float32(wear) * grain)
    metal = np.array(METALS[rng.choice(len(METALS), p=_METAL_SHARES)], np.float32) * np.float32(rng.uniform(0.85, 1.15))
    sheen = np.maximum(seen - 1, 0) * np.float32(0.5)  # a highlight is the lamp's colour, not the metal's
    planes = [seen * channel + sheen for channel in metal]
    if rng.random() < _RUST_CHANCE:
        rusty = np.clip(0.6 * noise_field(height, width, 0.2 * max(height, width), rng) + 0.2 * grain - 0.2, 0, 0.8)
        planes = [plane + rusty * (rust * seen - plane) for plane, rust in zip(planes, _RUST, strict=True)]
    cover = relief.cover.astype(np.float32) / np.float32(255)
    pixels: Array = cv2.merge([np.minimum(plane, _BRIGHTEST) * cover for plane in planes] + [cover])
    return pixels


@dataclass(frozen=True)
class Patch:
    """A part with its shadow, ready to be drawn on a belt. The middle of the part is the middle of the patch."""

    color: Array
    """float32 [H, W, 3]: BGR, premultiplied."""
    keep: Array
    """float32 [H, W, 3]: the fraction of the belt's light that remains: 0 under the part, less than 1 in its shadow."""
    cover: Array
    """float32 [H, W]: the fraction of each pixel that the part covers."""

    def lay(self, scene: Array, x: int, y: int) -> None:
        """Draws the patch into ``scene`` with its middle at pixel (x, y); what is outside is cut off."""
        in_frame, inside = self._overlap(x, y, (0, 0), scene.shape[:2])
        window = scene[in_frame]
        window *= self.keep[inside]
        window += self.color[inside]

    def visible(self, x: int, y: int, size: tuple[int, int], covering: Mask | None) -> float:
        """The visible fraction of the part at (x, y): within the centred square of the frame, and not covered.

        Args:
            x: column of the patch's middle.
            y: row of the patch's middle.
            size: height and width of the frame in pixels.
            covering: uint8 [height, width], not 0 where something hides the belt; None where nothing does.
        """
        left, top, side = centred_square(size)
        in_frame, inside = self._overlap(x, y, (top, left), (top + side, left + side))
        seen = self.cover[inside]
        if covering is not None:
            seen = seen[covering[in_frame] == 0]
        return float(seen.sum() / self.cover.sum())

    def _overlap(
        self, x: int, y: int, low: tuple[int, ...], high: tuple[int, ...]
    ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Rows and columns where the patch overlaps the area between two corners: in the frame and in the patch."""
        in_frame, inside = [], []
        for middle, length, first, last in zip((y, x), self.cover.shape, low, high, strict=True):
            start = middle - length // 2
            a, b = min(max(first, start), last), max(min(last, start + length), first)
            in_frame.append(slice(a, b))
            inside.append(slice(a - start, b - start))
        return tuple(in_frame), tuple(inside)


def render_part(label: str, length: float, light: Light, rng: np.random.Generator) -> Patch:
    """A part of ``length`` pixels in a random metal, with a random turn and lean."""
    relief = PARTS[label](round(_SUPERSAMPLE * length), rng)
    angle = float(rng.uniform(0, 2 * math.pi))
    pixels = _shade_metal(relief, light, angle, rng)
    height, width = relief.cover.shape
    steep = math.hypot(*relief.lean)
    squeeze = np.eye(3)
    if steep:
        towards = np.array(relief.lean) / steep
        squeeze[:2, :2] -= (1 - math.cos(math.atan(steep))) * np.outer(towards, towards)
        squeeze[2, :2] = -np.array(relief.lean) / (_CAMERA_DISTANCE * _SUPERSAMPLE * length)
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array(((c, -s, 0), (s, c, 0), (0, 0, 1))) @ squeeze
    to_middle = np.array(((1, 0, -width / 2), (0, 1, -height / 2), (0, 0, 1)))
    corners = np.array((((-width, -height), (width, -height), (width, height), (-width, height)),)) / 2
    reach = np.abs(cv2.perspectiveTransform(corners, turn)).max(axis=(0, 1))
    half_width, half_height = np.ceil(reach / _SUPERSAMPLE + 1).astype(int).tolist()
    from_middle = np.array(((1, 0, _SUPERSAMPLE * half_width), (0, 1, _SUPERSAMPLE * half_height), (0, 0, 1)))
    large_size = (round(2 * _SUPERSAMPLE * half_width), round(2 * _SUPERSAMPLE * half_height))
    large = cv2.warpPerspective(pixels, from_middle @ turn @ to_middle, large_size)
    small = cv2.resize(large, (2 * half_width, 2 * half_height), interpolation=cv2.INTER_AREA)
    return _with_shadow(small, length, light)


def _with_shadow(pixels: Array, length: float, light: Light) -> Patch:
    """Adds the shadow of a part of ``length`` pixels, given as premultiplied BGRA float32 [H, W, 4]."""
    offset = -_PART_HEIGHT * length * light.direction[:2] / light.direction[2]
    blur = max(light.softness * length, 0.5)
    room_x, room_y = np.ceil(np.abs(offset) + 3 * blur).astype(int).tolist()
    padded = cv2.copyMakeBorder(pixels, room_y, room_y, room_x, room_x, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    cover = cv2.extractChannel(padded, 3)
    move = np.array(((1, 0, offset[0]), (0, 1, offset[1])))
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, move, cover.shape[::-1]), (0, 0), blur)
    keep = (1 - cover) * (1 - np.float32(light.shadow) * shadow)
    return Patch(cv2.cvtColor(padded, cv2.COLOR_BGRA2BGR), cv2.merge((keep, keep, keep)), cover)
