"""The rendered conveyor: a belt in motion under one lamp and one camera, with the true label of every frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from linnet_runtime.synthetic.camera import Camera, sensor_noise
from linnet_runtime.synthetic.light import Light
from linnet_runtime.synthetic.parts import PARTS
from linnet_runtime.synthetic.relief import Array, Mask
from linnet_runtime.synthetic.scene import (
    NOMINAL_SIDE,
    draw_splice,
    render_belt,
    scatter_chips,
)
from linnet_runtime.synthetic.shading import Patch, centred_square, part_length, render_part

EMPTY = "empty_belt"

_HARSHNESS = 0.2  # a station that somebody looks after
_SPEED = 0.75  # short sides a second
_GAP = (1.0, 1.5)  # between the shadows of two parts, in short sides
_OFFSET = 0.12  # of the parts from the belt's middle, in short sides
_BELT = 4.0  # length of the belt in frame widths
_NOISE_SLACK = 32  # pixels: the sensor noise is larger than a frame, and each frame gets another window of it
_CLIP_SIZE = (480, 640)
_CLIP_FPS = 25.0


def conveyor_frames(
    seed: int, count: int | None, size: tuple[int, int] = _CLIP_SIZE, fps: float = _CLIP_FPS
) -> Generator[tuple[Mask, str], None, None]:
    """Frames of a belt that runs from left to right under a fixed camera and lamp, each with its true label.

    Two parts are always too far apart to reach into the centred square together.

    Args:
        seed: decides everything; the same one gives the same frames.
        count: the number of frames; None is endless.
        size: height and width in pixels.
        fps: frames a second, which decides how far the belt moves from one frame to the next.

    Yields:
        A frame, uint8 [height, width, 3] BGR, and the label of the part whose middle is in the centred square, or
        "empty_belt".
    """
    rng = np.random.default_rng(seed)
    height, width = size
    left, _, side = centred_square(size)
    unit = side / NOMINAL_SIDE
    light = Light.random(rng, _HARSHNESS)
    camera = Camera.random(unit, rng, _HARSHNESS)
    belt = _belt_loop(size, unit, light, rng)
    loop = belt.shape[1] - width
    lit = light.field(height, width)
    noise = sensor_noise(height + _NOISE_SLACK, width + _NOISE_SLACK, rng)
    parts = _moving_parts(size, light, rng)
    on_belt = [next(parts)]
    for number in range(count) if count is not None else itertools.count():
        travel = round(number * _SPEED * side / fps)
        while on_belt[-1].x(travel) > -width:
            on_belt.append(next(parts))
        on_belt = [part for part in on_belt if part.x(travel) < 2 * width]
        start = -travel % loop
        scene = belt[:, start : start + width].copy()
        for part in on_belt:
            part.patch.lay(scene, part.x(travel), part.y)
        scene *= lit
        shift_y, shift_x = rng.integers(_NOISE_SLACK, size=2)
        frame = camera.expose(scene, noise[shift_y : shift_y + height, shift_x : shift_x + width])
        inside = [part.label for part in on_belt if left <= part.x(travel) < left + side]
        yield frame, inside[0] if inside else EMPTY


@dataclass(frozen=True)
class _MovingPart:
    """A part on the conveyor."""

    label: str
    patch: Patch
    start: int
    """The belt's travel in pixels at which the part's middle crosses the left edge of the frame."""
    y: int
    """The row of the part's middle."""

    def x(self, travel: int) -> int:
        """The column of the part's middle."""
        return travel - self.start


def _belt_loop(size: tuple[int, int], unit: float, light: Light, rng: np.random.Generator) -> Array:
    """The whole belt with its splice. Its first frame is repeated at the end, so that every window is one slice."""
    height, width = size
    belt = render_belt(height, math.ceil(_BELT * width), unit, rng, _HARSHNESS)
    scatter_chips(belt, unit, light, rng)
    draw_splice(belt, 0, unit)
    return np.hstack([belt, belt[:, :width]])


def _moving_parts(size: tuple[int, int], light: Light, rng: np.random.Generator) -> Iterator[_MovingPart]:
    """Endless parts, too far apart for two to reach into the centred square together."""
    side = min(size)
    start, half_before = 0, 0.0
    for label in itertools.chain.from_iterable(rng.permutation(list(PARTS)).tolist() for _ in itertools.count()):
        patch = render_part(label, part_length(size, rng), light, rng)
        half = patch.cover.shape[1] / 2
        start += math.ceil(half_before + half + side * rng.uniform(*_GAP))
        half_before = half
        yield _MovingPart(label, patch, start, round(size[0] / 2 + side * rng.uniform(-_OFFSET, _OFFSET)))


def write_clip(path: Path, seed: int, seconds: float) -> list[str]:
    """Writes ``conveyor_frames`` as a Motion JPEG .avi of 640 x 480 at 25 frames a second; returns each frame's label.

    Raises:
        OSError: the file cannot be opened for writing.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), _CLIP_FPS, (_CLIP_SIZE[1], _CLIP_SIZE[0]))
    if not writer.isOpened():
        raise OSError(f"cannot open the video {path} for writing; its folder must exist and its name end in .avi")
    labels = []
    try:
        for frame, label in conveyor_frames(seed, round(seconds * _CLIP_FPS), _CLIP_SIZE, _CLIP_FPS):
            writer.write(frame)
            labels.append(label)
    finally:
        writer.release()
    return labels
