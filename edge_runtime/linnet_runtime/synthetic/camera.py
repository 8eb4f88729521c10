"""The simulated camera that takes a photo of a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from linnet_runtime.synthetic.light import white_noise
from linnet_runtime.synthetic.relief import Array, Mask, draw_line


@dataclass(frozen=True)
class Camera:
    """A cheap camera: lens, shutter and sensor."""

    kernel: Array
    """float32 [K, K] with the sum 1: the blur of the lens and of the motion."""
    gain: float
    """Contrast, 1 neutral."""
    haze: float
    """Stray light added everywhere, 0..1."""
    read_noise: float
    """Standard deviation of the noise in the dark."""
    shot_noise: float
    """Standard deviation that full light adds."""

    @classmethod
    def random(cls, unit: float, rng: np.random.Generator, harshness: float) -> Camera:
        """A random camera; ``harshness`` is 0 for one in focus and in good light, 1 for the worst."""
        defocus = 0.5 + unit * harshness * min(rng.exponential(0.45), 2.2)
        motion = unit * harshness * rng.uniform(2, 9) * (rng.random() < 0.2)
        radius = math.ceil(2 * defocus + motion / 2)
        streak = np.zeros((2 * radius + 1, 2 * radius + 1), np.uint8)
        turn = rng.uniform(0, math.pi)
        reach = 0.5 * motion * np.array((math.cos(turn), math.sin(turn)))
        draw_line(streak, np.stack([radius - reach, radius + reach]), 255, 1)
        kernel = cv2.GaussianBlur(streak.astype(np.float32), (0, 0), defocus, borderType=cv2.BORDER_CONSTANT)
        return cls(
            kernel / kernel.sum(),
            rng.uniform(0.9, 1.15),
            harshness * rng.uniform(0, 0.12),
            0.006 + harshness * min(rng.exponential(0.012), 0.05),
            harshness * rng.uniform(0.0, 0.03),
        )

    def expose(self, scene: Array, noise: Array) -> Mask:
        """The photo of a lit scene, uint8 [H, W, 3] BGR; ``noise`` is ``sensor_noise`` of the same size."""
        seen = cv2.filter2D(scene, -1, self.kernel, borderType=cv2.BORDER_REPLICATE)
        seen *= np.float32(self.gain * (1 - self.haze))
        seen += np.float32(self.haze + 0.5 * (1 - self.gain))
        seen += noise * (np.float32(self.read_noise) + np.float32(self.shot_noise) * seen)
        photo: Mask = cv2.convertScaleAbs(np.maximum(seen, 0, out=seen), alpha=255)
        return photo


def sensor_noise(height: int, width: int, rng: np.random.Generator) -> Array:
    """Noise of about unit variance, float32 [height, width, 3]: fine in brightness and coarser in colour."""
    grain = white_noise((height, width), rng)
    colour = white_noise((height // 3, width // 3, 3), rng)
    noise: Array = cv2.add(cv2.resize(colour, (width, height)), cv2.merge((grain, grain, grain)))
    return noise
