"""The lamp that lights a scene, what metal mirrors of its surroundings, and random noise.

Colours and brightness are display values, float32 BGR from 0 (black) to 1 (white); a highlight may exceed 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from linnet_runtime.synthetic.relief import Array

REFLECTIONS_SIDE = 64  # side of the table from a surface's normal to what it reflects
_BYTES_MEAN = np.float32(3 * 127.5)  # of the sum of three random bytes
_BYTES_DEVIATION = np.float32(math.sqrt(3 * (256**2 - 1) / 12))
_FINE_GRAIN = 4.0  # pixels; linear interpolation shows in grains that are larger


def white_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Noise of unit variance, float32 of this shape.

    It is the sum of three random bytes, which looks like a normal distribution and takes a fifth of the time.
    """
    values = np.frombuffer(rng.bytes(3 * math.prod(shape)), np.uint8).reshape(3, *shape)
    total: Array = values[0].astype(np.float32)
    total += values[1]
    total += values[2]
    total -= _BYTES_MEAN
    total *= 1 / _BYTES_DEVIATION
    return total


def noise_field(height: int, width: int, cell: float, rng: np.random.Generator, stretch: float = 1.0) -> Array:
    """Smooth noise, float32 [height, width], about unit variance; a grain is ``cell`` by ``cell * stretch`` pixels."""
    rows, columns = max(round(height / cell), 2), max(round(width / (cell * stretch)), 2)
    grains = white_noise((rows, columns), rng)
    smooth = cell > _FINE_GRAIN
    field: Array = cv2.resize(grains, (width, height), interpolation=cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR)
    return field


@dataclass(frozen=True)
class Light:
    """One lamp above the belt and the light that the room adds."""

    direction: Array
    """float32 [3], unit length: towards the lamp; x right, y down, z to the camera."""
    color: Array
    """float32 [3]: BGR gains, the lamp's temperature times its brightness."""
    falloff: float
    """How much darker the frame is far from the lamp: 0 even, 1 black at a short side's distance."""
    shadow: float
    """Depth of the shadows, 0..1."""
    softness: float
    """Blur of the shadows' edges, in part lengths."""

    @classmethod
    def random(cls, rng: np.random.Generator, harshness: float) -> Light:
        """A random lamp; ``harshness`` is 0 at a well-kept station, 1 for the worst light."""
        turn, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.45, 0.9)
        flat = math.sqrt(1 - height * height)
        warmth = harshness * rng.normal(0, 0.11)
        level = math.exp(harshness * rng.normal(0, 0.35))
        gains = level * np.array((1 - warmth, 1 + 0.15 * rng.normal(0, 0.1) * harshness, 1 + warmth))
        return cls(
            np.array((flat * math.cos(turn), flat * math.sin(turn), height), np.float32),
            gains.astype(np.float32),
            harshness * rng.uniform(0, 0.55),
            rng.uniform(0.3, 0.8),
            rng.uniform(0.01, 0.07),
        )

    def field(self, height: int, width: int) -> Array:
        """The light on each pixel, float32 [height, width, 3], by which a scene is multiplied."""
        x = np.linspace(-0.5, 0.5, 32, dtype=np.float32) * np.float32(width / min(height, width))
        y = np.linspace(-0.5, 0.5, 24, dtype=np.float32)[:, None] * np.float32(height / min(height, width))
        far = np.hypot(x - 0.6 * self.direction[0], y - 0.6 * self.direction[1])
        level = np.maximum(1 + 0.3 * self.falloff - self.falloff * far, 0.1).astype(np.float32, copy=False)
        field: Array = cv2.resize(cv2.merge([level * gain for gain in self.color]), (width, height))
        return field

    def reflections(self, angle: float, gloss: float, rng: np.random.Generator) -> Array:
        """What metal turned by ``angle`` mirrors for each surface normal: float32 [64, 64] over nx, ny in -1..1.

        The surroundings are the lamp, one window, and a ceiling that fades into a dark room.
        """
        axis = np.linspace(-1, 1, REFLECTIONS_SIDE, dtype=np.float32)
        nx, ny = axis[None, :], axis[:, None]
        nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0))
        to_part = np.array(((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))))
        lamp = np.array((*(to_part @ self.direction[:2]), self.direction[2]))
        window_turn = rng.uniform(0, 2 * math.pi)
        window = np.array((0.6 * math.cos(window_turn), 0.6 * math.sin(window_turn), 0.8))
        mirrored = [2 * nz * nx, 2 * nz * ny, 2 * nz * nz - 1]
        at_lamp = sum(m * c for m, c in zip(mirrored, lamp, strict=True))
        at_window = sum(m * c for m, c in zip(mirrored, window, strict=True))
        diffuse = np.maximum(nx * lamp[0] + ny * lamp[1] + nz * lamp[2], 0)
        ceiling = 0.16 + 0.4 / (1 + np.exp(-4 * mirrored[2]))
        spread = 2 + 40 * gloss * gloss
        highlight = (0.3 + 1.3 * gloss) * np.exp(spread * (at_lamp - 1))
        highlight += 0.6 * gloss * np.exp(0.5 * spread * (at_window - 1))
        table: Array = (0.45 * diffuse + ceiling + highlight).astype(np.float32)
        return table
