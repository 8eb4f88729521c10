"""Rendered photos of small parts on a conveyor belt, and the conveyor itself: the demo's data, with no download.

A photo shows one part of six kinds, or no part at all, under a lamp and through a camera that differ from photo to
photo. Its part lies mostly within the centred square, which is what a centre crop leaves of it. The conveyor's
frames are drawn by the same code under one lamp, so that a network trained on the photos reads them.

    render_photo, write_photos     the data set
    conveyor_frames, write_clip    the belt in motion, with the true label of every frame
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from linnet_runtime.synthetic.conveyor import EMPTY, conveyor_frames, write_clip
from linnet_runtime.synthetic.parts import PARTS
from linnet_runtime.synthetic.relief import Array, Mask
from linnet_runtime.synthetic.scene import (
    NOMINAL_SIDE,
    Camera,
    draw_covering,
    draw_splice,
    lay_covering,
    render_belt,
    scatter_swarf,
    sensor_noise,
)
from linnet_runtime.synthetic.shading import Light, Patch, centred_square, part_length, render_part

__all__ = ["CLASSES", "EMPTY", "conveyor_frames", "render_photo", "write_clip", "write_photos"]

CLASSES: tuple[str, ...] = tuple(sorted([*PARTS, EMPTY]))

JPEG_QUALITY = 92
HARSHNESS = (1.0, 4.0)  # beta distribution of how bad a photo's light, belt and camera are: most are good, some awful
SPREAD = (0.15, 0.07)  # standard deviation of a part's x and y, in short sides: the belt moves along x
CARELESS_SPREAD = (0.2, 0.2)
CARELESS_CHANCE = 0.1  # of a photo taken without care for its framing
MIN_VISIBLE = 0.55  # fraction of a part's area that is in the centred square and uncovered
MAX_INTRUDER = 0.3  # fraction of a part's area that may reach into the square of a photo labelled empty
INTRUDER_CHANCE = 0.06
COVERING_CHANCE = 0.08
SWARF_CHANCE = 0.2
WHITE_CHANCE = 0.05  # of a white belt, on which a pale part is hard to see; the conveyor has none
SPLICE_CHANCE = 0.06
PLACEMENTS = 8  # tries at random before the part is put where it is sure to be seen


def render_photo(label: str, rng: np.random.Generator, size: tuple[int, int] = (192, 256)) -> Mask:
    """Render one photo as uint8 [H, W, 3], BGR.

    size: (height, width) in pixels. ValueError for a label that is not in CLASSES.
    """
    if label not in CLASSES:
        raise ValueError(f"unknown label {label!r}; the known ones are {', '.join(CLASSES)}")
    height, width = size
    unit = min(size) / NOMINAL_SIDE
    harshness = rng.beta(*HARSHNESS)
    light = Light.random(rng, harshness)
    scene = render_belt(height, width, unit, rng, harshness, white=rng.random() < WHITE_CHANCE)
    if rng.random() < SPLICE_CHANCE:
        draw_splice(scene, int(rng.integers(width)), unit)
    if rng.random() < SWARF_CHANCE:
        scatter_swarf(scene, unit, light, rng)
    covering = draw_covering(height, width, unit, rng) if rng.random() < COVERING_CHANCE else None
    if label == EMPTY:
        if rng.random() < INTRUDER_CHANCE:
            _lay_intruder(scene, light, rng)
    else:
        patch = render_part(label, part_length(size, rng), light, rng)
        x, y, fraction = _place(patch, size, covering, rng)
        if fraction < MIN_VISIBLE:
            covering = None
        patch.lay(scene, x, y)
    if covering is not None:
        lay_covering(scene, covering, unit, light, rng)
    scene *= light.field(height, width)
    return Camera.random(unit, rng, harshness).expose(scene, sensor_noise(height, width, rng))


def _place(
    patch: Patch, size: tuple[int, int], covering: Mask | None, rng: np.random.Generator
) -> tuple[int, int, float]:
    """A random place where enough of the part is seen, or the middle of the frame: x, y and the fraction seen."""
    spread = min(size) * np.array(CARELESS_SPREAD if rng.random() < CARELESS_CHANCE else SPREAD)
    for _ in range(PLACEMENTS):
        x, y = np.rint(np.array((size[1], size[0])) / 2 + spread * rng.standard_normal(2)).astype(int).tolist()
        fraction = patch.visible(x, y, size, covering)
        if fraction >= MIN_VISIBLE:
            return x, y, fraction
    x, y = size[1] // 2, size[0] // 2
    return x, y, patch.visible(x, y, size, covering)


def _lay_intruder(scene: Array, light: Light, rng: np.random.Generator) -> None:
    """Let a part that has just left the centred square reach back into it, as on the conveyor."""
    height, width = scene.shape[:2]
    left, _, side = centred_square((height, width))
    patch = render_part(str(rng.choice(list(PARTS))), part_length((height, width), rng), light, rng)
    y = int(rng.integers(height // 4, height - height // 4))
    x, outwards = (left, -1) if rng.random() < 0.5 else (left + side, 1)
    while patch.visible(x, y, (height, width), None) > MAX_INTRUDER:
        x += outwards
    patch.lay(scene, x, y)


def write_photos(folder: Path, per_class: int, seed: int) -> Iterator[Path]:
    """Write `per_class` photos of every class as folder/CLASS/NNNN.jpg and yield each path once it is written.

    Nothing is written before the first path is asked for. The same seed, 0 or more, gives the same photos, and photo
    k of a class does not depend on how many there are. OSError if a file cannot be written.
    """
    for index, label in enumerate(CLASSES):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            path = folder / label / f"{number:04d}.jpg"
            photo = render_photo(label, np.random.default_rng((seed, index, number)))
            if not cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
                raise OSError(f"cannot write the photo {path}")
            yield path
