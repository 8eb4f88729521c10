"""Photos that look the same: a perceptual hash, and the search for pairs of hashes that differ in few bits.

The hash is pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010) at 255 bits in
place of 63: with 63, pictures of one thing before one background run into each other. A hash knows neither brightness
nor colour, so that a pair has to be alike in both as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Pixels

SIDE = 64  # pixels of the picture that is hashed
BITS = 255
# Of 255 bits. Encoding again (JPEG quality 50), resizing and noise change up to 20 in 99 of 100 real photos, cutting
# 2 % off each side up to 58; photos of different things differ in about 127. TrashNet and the sign-language digits have
# no pair at 32 or below that is not of one scene.
NEAR = 32
_LOW = 16  # the lowest frequencies of the cosine transform, each way; the constant is left out
_GRID = 8
_CHROMA = 32  # of 255: the most by which Cr or Cb of a cell may differ; second shots of a scene differ by up to 20
_LUMA = 64  # of 255: the most by which brightness may differ in the mean; second shots differ by up to 38
_TILE = 512  # photos; the matrix of all distances would not fit into memory

Indices = NDArray[np.intp]


def perceptual_hash(pixels: Pixels) -> NDArray[np.uint8]:
    """uint8 RGB [64, 64, 3] to uint8 [32]: which low frequencies of its brightness lie above their median."""
    brightness = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(brightness)[:_LOW, :_LOW].ravel()[1:]
    return np.packbits(low > np.median(low))


def color_grid(pixels: Pixels) -> NDArray[np.uint8]:
    """uint8 RGB [64, 64, 3] to YCrCb in 8 x 8 cells, uint8 [8, 8, 3]."""
    return cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), (_GRID, _GRID), interpolation=cv2.INTER_AREA)


def near_pairs(
    hashes: NDArray[np.uint8], colours: NDArray[np.uint8], most: int, on_rows: Callable[[int], None]
) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Pairs i < j of photos that look the same, and the bits in which their hashes differ, in batches.

    All pairs are compared, by matrix products: 20,000 photos take two seconds, and no pair is missed.

    Args:
        hashes: uint8 [N, 32].
        colours: uint8 [N, 8, 8, 3].
        most: bits that may differ.
        on_rows: hears how many photos have been compared with all others.
    """
    wide = colours.astype(np.int16)  # uint8 would wrap around in a difference
    for top in range(0, len(hashes), _TILE):
        rows = _signs(hashes[top : top + _TILE])
        for left in range(top, len(hashes), _TILE):
            # Of two vectors of +1 and -1 the product is the number of equal signs less that of unequal ones.
            products = rows @ _signs(hashes[left : left + _TILE]).T
            a, b = np.nonzero(products >= BITS - 2 * most)
            bits = ((BITS - products[a, b]) / 2).astype(np.intp)
            i, j = a + top, b + left
            difference = np.abs(wide[i] - wide[j])
            same = i < j
            same &= difference[..., 0].mean(axis=(1, 2)) <= _LUMA
            same &= difference[..., 1:].max(axis=(1, 2, 3)) <= _CHROMA
            if same.any():
                yield i[same], j[same], bits[same]
        on_rows(min(top + _TILE, len(hashes)))


def _signs(hashes: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.unpackbits(hashes, axis=1, count=BITS).astype(np.float32) * 2 - 1


@dataclass(frozen=True)
class AlikeSet:
    """Photos, by index, each of which looks the same as another of the set.

    ``bits`` is the largest difference of such a pair. ``conflicting`` are those with a like photo of another label,
    ``leaking`` those with one in another part.
    """

    members: list[int]
    bits: int
    conflicting: list[int]
    leaking: list[int]


def equal_sets(digests: Sequence[bytes], labels: Sequence[str], parts: Sequence[str | None]) -> list[AlikeSet]:
    """Sets of files with the same bytes."""
    by_digest = defaultdict(list)
    for i, digest in enumerate(digests):
        by_digest[digest].append(i)
    return [
        AlikeSet(
            members,
            0,
            conflicting=members if len({labels[i] for i in members}) > 1 else [],
            leaking=members if len({parts[i] for i in members}) > 1 else [],
        )
        for members in by_digest.values()
        if len(members) > 1
    ]


def near_sets(
    pairs: Iterator[tuple[Indices, Indices, Indices]], labels: Sequence[str], parts: Sequence[str | None]
) -> list[AlikeSet]:
    """Sets of photos that pairs link, the most alike first."""
    n = len(labels)
    label, part = (np.unique([str(value) for value in values], return_inverse=True)[1] for values in (labels, parts))
    firsts = np.arange(n)  # of each photo's set, the first photo
    widest = np.zeros(n, dtype=np.intp)
    conflicts, leaks = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for i, j, bits in pairs:
        np.maximum.at(widest, i, bits)
        for marks, values in ((conflicts, label), (leaks, part)):
            differ = values[i] != values[j]
            marks[i[differ]] = marks[j[differ]] = True
        firsts = _linked(firsts, i, j)
    sets = defaultdict(list)
    for photo, first in enumerate(firsts.tolist()):
        sets[first].append(photo)
    found = [
        AlikeSet(
            members,
            int(widest[members].max()),
            conflicting=[photo for photo in members if conflicts[photo]],
            leaking=[photo for photo in members if leaks[photo]],
        )
        for members in sets.values()
        if len(members) > 1
    ]
    return sorted(found, key=lambda alike: alike.bits)


def _linked(firsts: Indices, i: Indices, j: Indices) -> Indices:
    """The sets after each photo ``i`` has been put into one with its ``j``."""
    while True:
        one, other = firsts[i], firsts[j]
        apart = one != other
        if not apart.any():
            return firsts
        i, j, one, other = i[apart], j[apart], one[apart], other[apart]
        np.minimum.at(firsts, np.maximum(one, other), np.minimum(one, other))
        while (firsts != firsts[firsts]).any():
            firsts = firsts[firsts]
