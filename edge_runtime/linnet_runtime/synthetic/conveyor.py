"""The rendered conveyor: a belt in motion under one lamp and one camera, with the true label of every frame."""

import itertools
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from linnet_runtime.synthetic.parts import PARTS
from linnet_runtime.synthetic.relief import Array, Mask
from linnet_runtime.synthetic.scene import (
    NOMINAL_SIDE,
    Camera,
    draw_splice,
    render_belt,
    scatter_swarf,
    sensor_noise,
)
from linnet_runtime.synthetic.shading import Light, Patch, centred_square, part_length, render_part

EMPTY = "empty_belt"

HARSHNESS = 0.2  # a station that somebody looks after
SPEED = 0.75  # short sides a second
GAP = (1.0, 1.5)  # between the shadows of two parts, in short sides
WANDER = 0.12  # of the parts' way from the belt's middle, in short sides
BELT = 4.0  # length of the belt in frame widths, after which it comes round again
NOISE_SLACK = 32  # pixels by which the conveyor's plate of sensor noise is larger than a frame, to be shifted about
CLIP_SIZE = (480, 640)
CLIP_FPS = 25.0


def conveyor_frames(
    seed: int, count: int | None, size: tuple[int, int] = CLIP_SIZE, fps: float = CLIP_FPS
) -> Generator[tuple[Mask, str], None, None]:
    """Frames of a belt that runs from left to right under a fixed camera and lamp, each with its true label.

    count: the number of frames, None for endless. size: (height, width) in pixels. fps: frames a second, which sets
    how far the belt moves between two. Yields (uint8 [H, W, 3] BGR, label): the label of the part whose middle is in
    the centred square, else "empty_belt". Parts are so far apart that two never reach into the square together.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    left, _, side = centred_square(size)
    unit = side / NOMINAL_SIDE
    light = Light.random(rng, HARSHNESS)
    camera = Camera.random(unit, rng, HARSHNESS)
    belt = _belt_loop(size, unit, light, rng)
    loop = belt.shape[1] - width
    lit = light.field(height, width)
    plate = sensor_noise(height + NOISE_SLACK, width + NOISE_SLACK, rng)
    riders = _riders(size, light, rng)
    on_belt = [next(riders)]
    for number in range(count) if count is not None else itertools.count():
        travel = round(number * SPEED * side / fps)
        while on_belt[-1].x(travel) > -width:
            on_belt.append(next(riders))
        on_belt = [rider for rider in on_belt if rider.x(travel) < 2 * width]
        start = -travel % loop
        scene = belt[:, start : start + width].copy()
        for rider in on_belt:
            rider.patch.lay(scene, rider.x(travel), rider.y)
        scene *= lit
        shift_y, shift_x = rng.integers(NOISE_SLACK, size=2)
        frame = camera.expose(scene, plate[shift_y : shift_y + height, shift_x : shift_x + width])
        inside = [rider.label for rider in on_belt if left <= rider.x(travel) < left + side]
        yield frame, inside[0] if inside else EMPTY


@dataclass(frozen=True)
class _Rider:
    """A part on the conveyor."""

    label: str
    patch: Patch
    start: int
    """How far the belt has travelled, in pixels, when the part's middle crosses the frame's left edge."""
    y: int

    def x(self, travel: int) -> int:
        return travel - self.start


def _belt_loop(size: tuple[int, int], unit: float, light: Light, rng: np.random.Generator) -> Array:
    """The whole belt with its splice, and its first frame's width once more, so that every window is one slice."""
    height, width = size
    belt = render_belt(height, math.ceil(BELT * width), unit, rng, HARSHNESS)
    scatter_swarf(belt, unit, light, rng)
    draw_splice(belt, 0, unit)
    return np.hstack([belt, belt[:, :width]])


def _riders(size: tuple[int, int], light: Light, rng: np.random.Generator) -> Iterator[_Rider]:
    """Parts without end, so far apart that two never reach into the centred square together."""
    side = min(size)
    start, half_before = 0, 0.0
    for label in itertools.chain.from_iterable(rng.permutation(list(PARTS)).tolist() for _ in itertools.count()):
        patch = render_part(label, part_length(size, rng), light, rng)
        half = patch.cover.shape[1] / 2
        start += math.ceil(half_before + half + side * rng.uniform(*GAP))
        half_before = half
        yield _Rider(label, patch, start, round(size[0] / 2 + side * rng.uniform(-WANDER, WANDER)))


def write_clip(path: Path, seed: int, seconds: float) -> list[str]:
    """Write conveyor_frames as a Motion JPEG .avi of 640 x 480 at 25 frames a second; returns each frame's label.

    OSError if the file cannot be opened for writing.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), CLIP_FPS, (CLIP_SIZE[1], CLIP_SIZE[0]))
    if not writer.isOpened():
        raise OSError(f"cannot open the video {path} for writing; its folder must exist and its name end in .avi")
    labels = []
    try:
        for frame, label in conveyor_frames(seed, round(seconds * CLIP_FPS), CLIP_SIZE, CLIP_FPS):
            writer.write(frame)
            labels.append(label)
    finally:
        writer.release()
    return labels
