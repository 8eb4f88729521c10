"""Rendered photos of small parts on a conveyor belt: a labelled data set without a download.

A photo shows one of six parts or an empty belt. Lamp and camera differ from photo to photo. The part lies mostly within
the centred square, which is what a centre crop keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from linnet_runtime.synthetic.camera import Camera, sensor_noise
from linnet_runtime.synthetic.conveyor import EMPTY
from linnet_runtime.synthetic.light import Light
from linnet_runtime.synthetic.parts import PARTS
from linnet_runtime.synthetic.relief import Array, Mask
from linnet_runtime.synthetic.scene import (
    NOMINAL_SIDE,
    draw_covering,
    draw_splice,
    lay_covering,
    render_belt,
    scatter_chips,
)
from linnet_runtime.synthetic.shading import Patch, centred_square, part_length, render_part

CLASSES: tuple[str, ...] = tuple(sorted([*PARTS, EMPTY]))

_JPEG_QUALITY = 92
_HARSHNESS = (1.0, 4.0)  # beta distribution of how bad a photo's light, belt and camera are: most are good, some awful
_SPREAD = (0.15, 0.07)  # standard deviation of a part's x and y, in short sides: the belt moves along x
_CARELESS_SPREAD = (0.2, 0.2)
_CARELESS_CHANCE = 0.1  # of a photo taken without care for its framing
_MIN_VISIBLE = 0.55  # fraction of a part's area that is in the centred square and uncovered
_MAX_PASSING = 0.3  # fraction of a part's area that may reach into the square of a photo labelled empty
_PASSING_CHANCE = 0.06
_COVERING_CHANCE = 0.08
_CHIPS_CHANCE = 0.2
_WHITE_CHANCE = 0.05  # of a white belt, on which a pale part is hard to see; the conveyor has none
_SPLICE_CHANCE = 0.06
_PLACEMENTS = 8  # tries at random before the part is put where it is sure to be seen


def render_photo(label: str, rng: np.random.Generator, size: tuple[int, int] = (192, 256)) -> Mask:
    """Renders one photo.

    Args:
        label: one of ``CLASSES``.
        rng: decides everything else; the same state gives the same photo.
        size: height and width in pixels.

    Returns:
        uint8 [height, width, 3], BGR.

    Raises:
        ValueError: the label is not in ``CLASSES``.
    """
    if label not in CLASSES:
        raise ValueError(f"unknown label {label!r}; the known ones are {', '.join(CLASSES)}")
    height, width = size
    unit = min(size) / NOMINAL_SIDE
    harshness = rng.beta(*_HARSHNESS)
    light = Light.random(rng, harshness)
    scene = render_belt(height, width, unit, rng, harshness, white=rng.random() < _WHITE_CHANCE)
    if rng.random() < _SPLICE_CHANCE:
        draw_splice(scene, int(rng.integers(width)), unit)
    if rng.random() < _CHIPS_CHANCE:
        scatter_chips(scene, unit, light, rng)
    covering = draw_covering(height, width, unit, rng) if rng.random() < _COVERING_CHANCE else None
    if label == EMPTY:
        if rng.random() < _PASSING_CHANCE:
            _lay_passing_part(scene, light, rng)
    else:
        patch = render_part(label, part_length(size, rng), light, rng)
        x, y, fraction = _place(patch, size, covering, rng)
        if fraction < _MIN_VISIBLE:
            covering = None
        patch.lay(scene, x, y)
    if covering is not None:
        lay_covering(scene, covering, unit, light, rng)
    scene *= light.field(height, width)
    return Camera.random(unit, rng, harshness).expose(scene, sensor_noise(height, width, rng))


def _place(
    patch: Patch, size: tuple[int, int], covering: Mask | None, rng: np.random.Generator
) -> tuple[int, int, float]:
    """A random place where enough of the part is visible, else the frame's middle: x, y and the visible fraction."""
    spread = min(size) * np.array(_CARELESS_SPREAD if rng.random() < _CARELESS_CHANCE else _SPREAD)
    for _ in range(_PLACEMENTS):
        x, y = np.rint(np.array((size[1], size[0])) / 2 + spread * rng.standard_normal(2)).astype(int).tolist()
        fraction = patch.visible(x, y, size, covering)
        if fraction >= _MIN_VISIBLE:
            return x, y, fraction
    x, y = size[1] // 2, size[0] // 2
    return x, y, patch.visible(x, y, size, covering)


def _lay_passing_part(scene: Array, light: Light, rng: np.random.Generator) -> None:
    """Draws a part that has just left the centred square and still reaches into it, as on the conveyor."""
    height, width = scene.shape[:2]
    left, _, side = centred_square((height, width))
    patch = render_part(str(rng.choice(list(PARTS))), part_length((height, width), rng), light, rng)
    y = int(rng.integers(height // 4, height - height // 4))
    x, outwards = (left, -1) if rng.random() < 0.5 else (left + side, 1)
    while patch.visible(x, y, (height, width), None) > _MAX_PASSING:
        x += outwards
    patch.lay(scene, x, y)


def write_photos(folder: Path, per_class: int, seed: int) -> Iterator[Path]:
    """Writes ``per_class`` photos of every class as folder/CLASS/NNNN.jpg, and yields each path once it is written.

    The same seed, 0 or more, gives the same photos, and photo k of a class does not depend on their number.

    Raises:
        OSError: a file cannot be written.
    """
    for index, label in enumerate(CLASSES):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            path = folder / label / f"{number:04d}.jpg"
            photo = render_photo(label, np.random.default_rng((seed, index, number)))
            if not cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
                raise OSError(f"cannot write the photo {path}")
            yield path
