"""What surrounds the parts in a scene: the belt, chips of metal on it, and things that cover it.

``unit`` is 1/192 of the frame's short side in pixels. Everything is drawn in this unit, so that a frame of any size
shows the same scene. Scenes are float32 BGR from 0 (black) to 1 (white).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from linnet_runtime.synthetic.light import Light, noise_field
from linnet_runtime.synthetic.relief import SUBPIXEL_BITS, Array, Mask, axes, draw_line, to_fixed
from linnet_runtime.synthetic.shading import METALS, SOBEL_TO_SLOPE

NOMINAL_SIDE = 192  # short side of the frame whose unit is one pixel

_DARK_BELTS = (  # BGR
    (0.12, 0.12, 0.12),  # black rubber
    (0.24, 0.23, 0.22),  # grey rubber
    (0.20, 0.32, 0.13),  # green PVC
    (0.38, 0.24, 0.11),  # blue urethane
    (0.17, 0.26, 0.34),  # tan cotton
)
_WHITE_BELT = (0.62, 0.64, 0.64)  # for food
_COVERINGS = (
    (0.70, 0.38, 0.15),  # blue nitrile glove
    (0.12, 0.12, 0.13),  # black glove
    (0.15, 0.42, 0.85),  # orange glove
    (0.80, 0.82, 0.84),  # white cotton, paper tape
    (0.50, 0.62, 0.82),  # skin
    (0.58, 0.57, 0.56),  # a metal rail
)


def _weave(height: int, width: int, unit: float, rng: np.random.Generator) -> Array | None:
    """The regular pattern of the belt, float32 [height, width] around 0; None for a smooth belt."""
    kind = rng.choice(["smooth", "smooth", "ribs", "weave", "diamonds"])
    if kind == "smooth":
        return None
    x, y = axes(height, width)
    turn = rng.choice([0.0, math.pi / 2]) + rng.normal(0, 0.06) if kind != "diamonds" else math.pi / 4
    pace = 2 * math.pi / (unit * rng.uniform(4, 16))
    along = np.sin(pace * (math.cos(turn) * x + math.sin(turn) * y), dtype=np.float32)
    if kind == "ribs":
        return along
    across = np.sin(pace * (math.cos(turn) * y - math.sin(turn) * x), dtype=np.float32)
    return along * across if kind == "weave" else np.maximum(along, across)


def _wear_marks(height: int, width: int, unit: float, rng: np.random.Generator, harshness: float) -> Mask:
    """Scratches and dust, uint8 [height, width]."""
    marks = np.zeros((height, width), np.uint8)
    area = height * width / (NOMINAL_SIDE * unit) ** 2
    count = rng.poisson(8 * harshness * area)
    starts, values = rng.uniform((0, 0), (width, height), (count, 2)), rng.integers(40, 200, count).tolist()
    reaches = unit * rng.normal(0, (60, 12), (count, 2))  # a belt is scratched along its way
    bends = 0.5 * reaches + unit * rng.normal(0, 1, (count, 2))
    for start, bend, reach, value in zip(starts, bends, reaches, values, strict=True):
        draw_line(marks, np.stack([start, start + bend, start + reach]), value, unit * rng.uniform(0.4, 1.2))
    count = rng.poisson(rng.choice([3, 30]) * area)
    specks = to_fixed(rng.uniform((0, 0), (width, height), (count, 2))).tolist()
    radii = to_fixed(unit * rng.uniform(0.3, 1.1, count)).tolist()
    for speck, radius, value in zip(specks, radii, rng.integers(60, 255, count).tolist(), strict=True):
        cv2.circle(marks, speck, radius, value, -1, cv2.LINE_AA, SUBPIXEL_BITS)
    return marks


def render_belt(
    height: int, width: int, unit: float, rng: np.random.Generator, harshness: float, white: bool = False
) -> Array:
    """A piece of belt before it is lit, float32 [height, width, 3]; ``harshness`` is 0 for a new one, 1 worn."""
    tone = 1 + rng.uniform(0.02, 0.1) * noise_field(height, width, 40 * unit, rng)
    tone += np.float32(rng.uniform(0.02, 0.08)) * noise_field(height, width, 6 * unit, rng, float(rng.choice([1, 5])))
    tone += np.float32(rng.uniform(0.0, 0.1)) * noise_field(height, width, 1.3 * unit, rng)
    pattern = _weave(height, width, unit, rng)
    if pattern is not None:
        tone += np.float32(rng.uniform(0.02, 0.04 + 0.14 * harshness)) * pattern
    if rng.random() < 0.5 * harshness:
        oil = np.clip(1.5 * noise_field(height, width, 45 * unit, rng) - 1, 0, 1)
        tone *= 1 - np.float32(rng.uniform(0.2, 0.6)) * oil
    marks = _wear_marks(height, width, unit, rng, harshness)
    tint = (
        np.array(_WHITE_BELT if white else _DARK_BELTS[rng.integers(len(_DARK_BELTS))])
        * rng.uniform(0.75, 1.25)
        * rng.uniform(0.93, 1.07, 3)
    )
    dust = marks * np.float32(rng.uniform(-0.15, 0.35) / 255)
    belt: Array = cv2.merge([tone * np.float32(channel) + dust for channel in tint])
    return belt


def draw_splice(belt: Array, x: int, unit: float) -> None:
    """Draws the joint of the belt's ends across the belt at column x: a gap and the step behind it."""
    gap, step = x + math.ceil(unit), x + math.ceil(6 * unit)
    belt[:, x:gap] *= np.float32(0.4)
    belt[:, gap:step] *= np.float32(1.15)


def scatter_chips(scene: Array, unit: float, light: Light, rng: np.random.Generator) -> None:
    """Draws small chips of metal on the belt, each with a shadow."""
    height, width = scene.shape[:2]
    chips = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(2, 14))):
        turn = rng.uniform(0, 2 * math.pi) + np.linspace(0, rng.uniform(0.5, 6), 8)  # a curl
        curl = unit * rng.uniform(0.8, 4) * np.stack([np.cos(turn), rng.uniform(0.3, 1) * np.sin(turn)], axis=1)
        place = rng.uniform((0, 0), (width, height))
        draw_line(chips, place + curl, int(rng.integers(90, 255)), unit * rng.uniform(1, 2))
    move = np.eye(2, 3)
    move[:, 2] = -1.5 * unit * light.direction[:2]
    shadow = cv2.warpAffine(chips, move, (width, height)) * np.float32(light.shadow / 255)
    bright = chips * np.float32(1 / 255)
    metal = np.array(METALS[rng.integers(len(METALS))], np.float32) * np.float32(1.2)
    scene *= ((1 - shadow) * (1 - np.sqrt(bright)))[..., None]
    scene += bright[..., None] * metal


def draw_covering(height: int, width: int, unit: float, rng: np.random.Generator) -> Mask:
    """The mask of something between the camera and the belt, uint8 [height, width]: a strip, fingers or a rail."""
    mask = np.zeros((height, width), np.uint8)
    middle, side = np.array((width, height)) / 2, NOMINAL_SIDE * unit
    turn = rng.uniform(0, 2 * math.pi)
    away = np.array((math.cos(turn), math.sin(turn)))
    along = np.array((-away[1], away[0]))
    kind = rng.choice(["strip", "fingers", "rail"])
    if kind == "strip":
        at = middle + away * side * rng.uniform(0, 0.4)
        draw_line(mask, np.stack([at - 2 * side * along, at + 2 * side * along]), 255, side * rng.uniform(0.03, 0.14))
    elif kind == "rail":
        thickness = 0.5 * side
        at = middle + away * (side * rng.uniform(0.3, 0.48) + thickness / 2)
        draw_line(mask, np.stack([at - 2 * side * along, at + 2 * side * along]), 255, thickness)
    else:
        thickness = side * rng.uniform(0.12, 0.22)
        reach = rng.uniform(0.1, 0.4)
        for finger in range(int(rng.integers(1, 4))):
            root = middle + away * side + along * finger * 1.12 * thickness
            tip = middle + away * side * (reach + rng.normal(0, 0.04)) + along * finger * 1.08 * thickness
            draw_line(mask, np.stack([root, tip]), 255, thickness)
    return mask


def lay_covering(scene: Array, mask: Mask, unit: float, light: Light, rng: np.random.Generator) -> None:
    """Draws a covering with a rounded edge, lit by the lamp, over the whole scene, with its shadow beside it."""
    height, width = mask.shape
    edge = unit * rng.uniform(4, 14)
    inside = np.minimum(cv2.distanceTransform(mask, cv2.DIST_L2, 3), edge) / edge
    surface = cv2.GaussianBlur(edge * np.sqrt(inside * (2 - inside)), (0, 0), unit)
    slope = light.direction[0] * cv2.Sobel(surface, cv2.CV_32F, 1, 0, scale=SOBEL_TO_SLOPE)
    slope += light.direction[1] * cv2.Sobel(surface, cv2.CV_32F, 0, 1, scale=SOBEL_TO_SLOPE)
    level = 0.45 + 0.6 * np.maximum(light.direction[2] - slope, 0) + 0.05 * noise_field(height, width, 8 * unit, rng)
    colour = np.array(_COVERINGS[rng.integers(len(_COVERINGS))]) * rng.uniform(0.85, 1.15)
    cover = cv2.GaussianBlur(mask, (0, 0), 0.7 * unit) * np.float32(1 / 255)
    move = np.eye(2, 3)
    move[:, 2] = -8 * unit * light.direction[:2]
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, move, (width, height)), (0, 0), 3 * unit)
    scene *= ((1 - cover) * (1 - np.float32(light.shadow) * shadow))[..., None]
    scene += cv2.merge([level * cover * np.float32(channel) for channel in colour])
