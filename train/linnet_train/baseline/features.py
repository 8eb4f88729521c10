"""Classical features of photos: color, texture, edges, shape, and local features as a bag of words.

Each function takes uint8 RGB [N, H, W, 3] and returns float32 [N, features].
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Pixels

Floats = NDArray[np.float32]

_COLOR_BINS = (12, 4, 4)  # for hue, saturation and value
_COLOR_RANGES = [0, 180, 0, 256, 0, 256]  # OpenCV's
_CELLS = 2  # the texture is counted in 2x2 parts of the photo
_NEIGHBORS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))  # once around
_UNIFORM = 58  # patterns with at most two changes around the circle; all others are counted together
_HOG_SIDE, _HOG_CELL, _HOG_BLOCK, _HOG_BINS = 64, 8, 2, 9
_LEAST_CONTRAST = 0.02  # for a keypoint: half of OpenCV's default, because the photos are small
_THREADS = 4  # OpenCV computes without holding the interpreter's lock
_TINY = 1e-6


def color_histograms(pixels: Pixels) -> Floats:
    """The joint histogram of hue, saturation and value, 192 bins; the square roots of the shares, so that a linear
    classifier compares them by Hellinger's distance.
    """

    def histogram(photo: Pixels) -> Floats:
        hsv = cv2.cvtColor(photo, cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([hsv], [0, 1, 2], None, list(_COLOR_BINS), _COLOR_RANGES)
        return np.sqrt(counts.ravel() / counts.sum())

    return _each(histogram, pixels)


def local_binary_patterns(pixels: Pixels) -> Floats:
    """Histograms of uniform local binary patterns in each quarter, at the full and at half the size.

    Ojala, Pietikäinen and Mäenpää, "Multiresolution gray-scale and rotation invariant texture classification with local
    binary patterns" (2002).
    """

    def histograms(photo: Pixels) -> Floats:
        gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        half = cv2.resize(gray, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return np.concatenate([_pattern_histograms(gray), _pattern_histograms(half)])

    return _each(histograms, pixels)


def oriented_gradients(pixels: Pixels) -> Floats:
    """Histograms of oriented gradients at 64 by 64 pixels: cells of 8 pixels, 9 unsigned directions, blocks of 2 by 2
    cells whose normalization is clipped at 0.2.

    Dalal and Triggs, "Histograms of oriented gradients for human detection" (2005).
    """
    return _each(_hog, pixels)


def hu_moments(pixels: Pixels) -> Floats:
    """Hu's seven invariant moments of the foreground that Otsu's threshold finds, and of the gray photo, as signed
    logarithms. Hu, "Visual pattern recognition by moment invariants" (1962).
    """

    def moments(photo: Pixels) -> Floats:
        gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        _, mask = cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        found = np.concatenate([cv2.HuMoments(cv2.moments(image)).ravel() for image in (mask, gray)])
        return (np.sign(found) * -np.log10(np.abs(found) + 1e-12)).astype(np.float32)

    return _each(moments, pixels)


def sift_descriptors(pixels: Pixels, most: int) -> list[Floats]:
    """The SIFT descriptors of each photo, float32 [K, 128], where K is 0 to ``most``.

    Lowe, "Distinctive image features from scale-invariant keypoints" (2004); square roots of their shares as in
    Arandjelović and Zisserman, "Three things everyone should know to improve object retrieval" (2012).
    """

    def describe(photo: Pixels) -> Floats:
        # One for each photo: a detector is not for two threads at once.
        detector = cv2.SIFT_create(nfeatures=most, contrastThreshold=_LEAST_CONTRAST)  # type: ignore[attr-defined]
        found = detector.detectAndCompute(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), None)[1]
        if found is None:
            return np.zeros((0, 128), np.float32)
        return np.sqrt(found / (found.sum(axis=1, keepdims=True) + _TINY)).astype(np.float32)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(describe, pixels))


def _each(function: Callable[[Pixels], Floats], pixels: Pixels) -> Floats:
    with ThreadPoolExecutor(_THREADS) as pool:
        return np.stack(list(pool.map(function, pixels))).astype(np.float32)


def _uniform_numbers() -> NDArray[np.uint8]:
    """The bin of each of the 256 patterns."""
    numbers, next_number = np.full(256, _UNIFORM, np.uint8), 0
    for pattern in range(256):
        bits = [pattern >> i & 1 for i in range(8)]
        if sum(bits[i] != bits[i - 1] for i in range(8)) <= 2:
            numbers[pattern] = next_number
            next_number += 1
    return numbers


_NUMBER_OF = _uniform_numbers()


def _pattern_histograms(gray: NDArray[np.uint8]) -> Floats:
    height, width = gray.shape[0] - 2, gray.shape[1] - 2
    inner = gray[1:-1, 1:-1]
    patterns = np.zeros(inner.shape, np.uint8)
    for bit, (down, right) in enumerate(_NEIGHBORS):
        neighbor = gray[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        patterns |= (neighbor >= inner).astype(np.uint8) << np.uint8(bit)
    numbers = _NUMBER_OF[patterns]
    parts = [part for rows in np.array_split(numbers, _CELLS) for part in np.array_split(rows, _CELLS, axis=1)]
    counts = np.stack([np.bincount(part.ravel(), minlength=_UNIFORM + 1) / part.size for part in parts])
    return np.sqrt(counts).ravel().astype(np.float32)


def _hog(photo: Pixels) -> Floats:
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (_HOG_SIDE, _HOG_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    across, down = cv2.Sobel(small, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(small, cv2.CV_32F, 0, 1, ksize=1)
    strength, angle = np.hypot(across, down), np.mod(np.arctan2(down, across), np.pi)
    position = angle / np.pi * _HOG_BINS - 0.5
    lower = np.floor(position).astype(int)
    cells_along = _HOG_SIDE // _HOG_CELL
    cell = np.arange(_HOG_SIDE) // _HOG_CELL
    cell_of = cell[:, None] * cells_along + cell[None, :]
    histogram = np.zeros(cells_along**2 * _HOG_BINS, np.float64)
    for bins, share in ((lower, 1 - (position - lower)), (lower + 1, position - lower)):  # between the nearest two
        index = cell_of * _HOG_BINS + bins % _HOG_BINS
        histogram += np.bincount(index.ravel(), (strength * share).ravel(), len(histogram))
    cells = histogram.reshape(cells_along, cells_along, _HOG_BINS)
    blocks = np.lib.stride_tricks.sliding_window_view(cells, (_HOG_BLOCK, _HOG_BLOCK), axis=(0, 1))
    flat = blocks.transpose(0, 1, 3, 4, 2).reshape(len(blocks) ** 2, -1)
    for _ in range(2):  # normalized, clipped, normalized again
        flat = np.minimum(flat / (np.linalg.norm(flat, axis=1, keepdims=True) + _TINY), 0.2)
    return (flat / (np.linalg.norm(flat, axis=1, keepdims=True) + _TINY)).ravel().astype(np.float32)
