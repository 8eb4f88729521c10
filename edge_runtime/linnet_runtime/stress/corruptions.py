"""Fifteen corruptions of a photo at five severities.

The idea is that of Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations" (2019); these corruptions are made for small pictures and fixed cameras, and the figures cannot be
compared with those of ImageNet-C. Lengths are shares of the picture's side, so that a severity means the same
at every size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Pixels

SEVERITIES = (1, 2, 3, 4, 5)
Floats = NDArray[np.float32]
_GAMMA = 2.2  # the values of a camera's picture are light to the power of 1 / 2.2
_PHOTONS = 1000.0  # for a white pixel in good light; low light has their shot noise
_FOG = 225.0  # the gray of fog
_FOG_CELLS = 4  # along a side: a bank of fog is about a quarter of the picture wide


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption."""

    name: str
    """Its name in tables and JSON: ``"low light"``."""
    what: str
    """What the strength measures, as text for people."""
    strengths: tuple[float, float, float, float, float]
    """The strength at each severity, weakest first."""
    apply: Callable[[Pixels, float, np.random.Generator], Pixels | Floats]
    """uint8 RGB [H, W, 3], the strength and random numbers to a picture of the same shape; it is rounded and clipped
    afterwards."""
    advice: str
    """The setting of ``linnet train --set`` that shows the network such photos; empty where there is none."""


def corrupt(pixels: Pixels, corruption: Corruption, severity: int, seed: int) -> Pixels:
    """Corrupts photos.

    A photo gets the same random numbers at each severity, so that its severities differ in strength only.

    Args:
        pixels: uint8 RGB [N, H, W, 3].
        corruption: one of ``CORRUPTIONS``.
        severity: 1 to 5.
        seed: the seed of the random numbers.

    Returns:
        uint8 RGB [N, H, W, 3].
    """
    strength, place = corruption.strengths[severity - 1], CORRUPTIONS.index(corruption)
    corrupted = np.empty_like(pixels)
    for i, photo in enumerate(pixels):
        found = corruption.apply(photo, strength, np.random.default_rng((seed, place, i)))
        corrupted[i] = np.clip(np.rint(found), 0, 255)
    return corrupted


def _noise(photo: Pixels, strength: float, rng: np.random.Generator) -> Floats:
    return photo + rng.standard_normal(photo.shape, np.float32) * np.float32(255 * strength)


def _blur(photo: Pixels, strength: float, _rng: np.random.Generator) -> Floats:
    return cv2.GaussianBlur(
        photo.astype(np.float32), (0, 0), strength * _side(photo), borderType=cv2.BORDER_REFLECT_101
    )


def _motion(photo: Pixels, strength: float, rng: np.random.Generator) -> Floats:
    length, angle = strength * _side(photo), rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    side = 2 * int(np.ceil(length / 2)) + 1
    middle = side // 2
    line = np.zeros((16 * side, 16 * side), np.float32)  # drawn large, so that short lines in any direction differ
    ends = [tuple(np.rint((middle + 0.5 + sign * reach) * 16).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(line, ends[0], ends[1], 1.0, 16)
    kernel = cv2.resize(line, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.filter2D(photo.astype(np.float32), -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def _brightness(photo: Pixels, strength: float, _rng: np.random.Generator) -> Floats:
    return photo.astype(np.float32) + np.float32(255 * strength)


def _contrast(photo: Pixels, strength: float, _rng: np.random.Generator) -> Floats:
    mean = photo.mean(axis=(0, 1), dtype=np.float32)
    return (photo - mean) * np.float32(1 - strength) + mean


def _fog(photo: Pixels, strength: float, rng: np.random.Generator) -> Floats:
    banks = rng.uniform(0.6, 1.4, (_FOG_CELLS, _FOG_CELLS)).astype(np.float32)
    density = cv2.resize(banks, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    share = np.clip(np.float32(strength) * density, 0, 1)[..., None]
    return photo * (1 - share) + np.float32(_FOG) * share


def _jpeg(photo: Pixels, strength: float, _rng: np.random.Generator) -> Pixels:
    encoded = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(strength)])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def _pixelation(photo: Pixels, strength: float, _rng: np.random.Generator) -> Pixels:
    height, width = photo.shape[:2]
    size = (max(2, round(width * strength)), max(2, round(height * strength)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def _rotation(photo: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    return _moved(photo, angle=strength * rng.choice([-1, 1]))


def _shift(photo: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    direction = rng.uniform(0, 2 * np.pi)
    reach = strength * _side(photo)
    return _moved(photo, shift=(reach * np.cos(direction), reach * np.sin(direction)))


def _scale(photo: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    return _moved(photo, zoom=strength if rng.random() < 0.5 else 1 / strength)


def _occlusion(photo: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    height, width = photo.shape[:2]
    aspect = np.exp(rng.uniform(-0.5, 0.5))
    tall, wide = (min(1.0, np.sqrt(strength) * stretch) for stretch in (aspect, 1 / aspect))
    top, left = rng.uniform(0, 1 - tall) * height, rng.uniform(0, 1 - wide) * width
    covered = photo.copy()
    rows, columns = (slice(round(a), round(a + b)) for a, b in ((top, tall * height), (left, wide * width)))
    covered[rows, columns] = rng.integers(0, 256, 3)
    return covered


def _color_cast(photo: Pixels, strength: float, rng: np.random.Generator) -> Floats:
    warm = 1.0 if rng.random() < 0.5 else -1.0
    gain = np.array([1 + warm * strength, 1, 1 - warm * strength], np.float32)
    return photo.astype(np.float32) * gain


def _low_light(photo: Pixels, strength: float, rng: np.random.Generator) -> Floats:
    light = (photo.astype(np.float32) / 255) ** np.float32(_GAMMA) * np.float32(strength)
    noisy = light + np.sqrt(light / np.float32(_PHOTONS)) * rng.standard_normal(photo.shape, np.float32)
    return np.float32(255) * np.maximum(noisy, 0) ** np.float32(1 / _GAMMA)


def _rolling_exposure(photo: Pixels, strength: float, rng: np.random.Generator) -> Floats:
    rows = np.arange(photo.shape[0], dtype=np.float32) / photo.shape[0]
    waves, phase = rng.uniform(1.5, 4), rng.uniform(0, 2 * np.pi)
    gain = 1 + strength * np.sin(2 * np.pi * waves * rows + phase)
    return photo * gain[:, None, None].astype(np.float32)


def _moved(photo: Pixels, *, angle: float = 0.0, zoom: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> Pixels:
    """The photo turned by degrees, enlarged and shifted by pixels; outside its border the photo is mirrored."""
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
    matrix[:, 2] += shift
    return cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _side(photo: Pixels) -> int:
    return min(photo.shape[:2])


CORRUPTIONS = (
    Corruption("noise", "standard deviation, share of 255", (0.03, 0.06, 0.1, 0.15, 0.22), _noise, "augment.noise=0.1"),
    Corruption(
        "blur", "standard deviation, share of the side", (0.01, 0.016, 0.025, 0.035, 0.05), _blur, "augment.blur=1.5"
    ),
    Corruption("motion", "length, share of the side", (0.03, 0.06, 0.1, 0.15, 0.22), _motion, "augment.blur=1.5"),
    Corruption("brightness", "added share of 255", (0.1, 0.2, 0.3, 0.4, 0.5), _brightness, "augment.brightness=0.3"),
    Corruption("contrast", "lost share", (0.3, 0.5, 0.65, 0.78, 0.88), _contrast, "augment.contrast=0.6"),
    Corruption("fog", "mean share of gray", (0.2, 0.35, 0.5, 0.62, 0.74), _fog, "augment.contrast=0.6"),
    Corruption("jpeg", "quality", (40, 25, 15, 10, 6), _jpeg, ""),
    Corruption(
        "pixelation", "share of the pixels along a side", (0.6, 0.45, 0.33, 0.25, 0.18), _pixelation, "augment.blur=1.5"
    ),
    Corruption("rotation", "degrees", (5, 10, 20, 30, 45), _rotation, "augment.rotate=30"),
    Corruption("shift", "share of the side", (0.05, 0.1, 0.15, 0.2, 0.3), _shift, "augment.shift=0.2"),
    Corruption("scale", "factor, larger or smaller", (1.1, 1.2, 1.35, 1.5, 1.8), _scale, "augment.zoom=0.4"),
    Corruption("occlusion", "covered share", (0.05, 0.1, 0.18, 0.27, 0.4), _occlusion, "augment.erase=0.5"),
    Corruption(
        "color cast",
        "share added to red and taken from blue, or the reverse",
        (0.1, 0.2, 0.3, 0.4, 0.55),
        _color_cast,
        "augment.randaugment=2",
    ),
    Corruption("low light", "share of the light", (0.5, 0.3, 0.15, 0.08, 0.04), _low_light, "augment.brightness=0.3"),
    Corruption(
        "rolling exposure",
        "bands brighter and darker by this share",
        (0.15, 0.3, 0.45, 0.6, 0.8),
        _rolling_exposure,
        "augment.brightness=0.3",
    ),
)
"""All corruptions, in the order of the tables."""
