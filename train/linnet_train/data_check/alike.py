"""Photos that look the same: a perceptual hash, and the search for pairs of hashes that differ in few bits.

The hash is pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010) with 255 bits
instead of 63: with 63 bits, different things in front of one background have close hashes. A hash holds neither
brightness nor color, so the two photos of a pair also have to agree in both.

Each photo is compared with every other one in its eight orientations. The cosine transform of a turned or mirrored
photo has the same coefficients in other places and with other signs, so no picture is transformed for it.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Pixels

SIDE = 64  # pixels of the picture that is hashed
BITS = 255
# The limit for near duplicates. In 99 of 100 real photos, encoding again (JPEG quality 50), resizing and noise change
# up to 20 bits, and cutting 2 % off each side up to 58. Photos of different things differ in about 127. In TrashNet and
# the sign-language digits, every pair at 32 or below shows one scene.
NEAR = 32
_LOW = 16  # the lowest frequencies of the cosine transform, each way; the constant is left out
_GRID = 8
_CHROMA = 32  # of 255: the most by which Cr or Cb of a cell may differ; second shots of a scene differ by up to 20
_LUMA = 64  # of 255: the most by which brightness may differ in the mean; second shots differ by up to 38
_TILE = 512  # photos; the matrix of all distances would not fit into memory

Indices = NDArray[np.intp]


class Orientation(NamedTuple):
    """One of the eight orientations of a photo. The steps are applied in the order of the fields."""

    transposed: bool
    upside_down: bool
    mirrored: bool


ORIENTATIONS = [Orientation(*steps) for steps in itertools.product((False, True), repeat=3)]
"""The first one is that of the photo itself."""


class Pairs(NamedTuple):
    """Pairs of photos that look the same."""

    i: Indices
    j: Indices
    """The photos, by index, i < j."""
    bits: Indices
    """The bits in which their hashes differ."""
    turned: bool
    """Whether they look the same only once the second one is turned or mirrored."""


def perceptual_hashes(pixels: Pixels) -> NDArray[np.uint8]:
    """uint8 RGB [64, 64, 3] to uint8 [8, 32], one hash for each of ``ORIENTATIONS``.

    A bit is set if its low frequency of the brightness is above the median of all of them.
    """
    brightness = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(brightness)[:_LOW, :_LOW]
    return np.stack([_bits(_turned_frequencies(low, turn)) for turn in ORIENTATIONS])


def _bits(low: NDArray[np.float32]) -> NDArray[np.uint8]:
    values = low.ravel()[1:]
    return np.packbits(values > np.median(values))


def _turned_frequencies(low: NDArray[np.float32], turn: Orientation) -> NDArray[np.float32]:
    """The low frequencies of the photo in another orientation: a mirrored cosine of odd frequency changes its sign."""
    signs = np.where(np.arange(_LOW) % 2, np.float32(-1), np.float32(1))
    low = low.T if turn.transposed else low
    low = low * signs[:, None] if turn.upside_down else low
    return low * signs if turn.mirrored else low


def color_grid(pixels: Pixels) -> NDArray[np.uint8]:
    """uint8 RGB [64, 64, 3] to YCrCb in 8 x 8 cells, uint8 [8, 8, 3]."""
    return cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), (_GRID, _GRID), interpolation=cv2.INTER_AREA)


def near_pairs(
    hashes: NDArray[np.uint8], colors: NDArray[np.uint8], most: int, on_rows: Callable[[int], None]
) -> Iterator[Pairs]:
    """All pairs of photos that look the same in some orientation, in batches.

    All photos are compared by matrix products, so no pair is missed.

    Args:
        hashes: uint8 [N, 8, 32], of ``perceptual_hashes``.
        colors: uint8 [N, 8, 8, 3], of ``color_grid``.
        most: bits that may differ.
        on_rows: is called with the number of photos that have been compared with all others.
    """
    wide = colors.astype(np.int16)  # uint8 would wrap around in a difference
    for top in range(0, len(hashes), _TILE):
        rows = _signs(hashes[top : top + _TILE, 0])
        for left in range(top, len(hashes), _TILE):
            paired = np.zeros((len(rows), len(hashes[left : left + _TILE])), dtype=bool)
            for number, turn in enumerate(ORIENTATIONS):
                # The product of two vectors of +1 and -1 is the number of equal signs less that of unequal ones.
                products = rows @ _signs(hashes[left : left + _TILE, number]).T
                close = (products >= BITS - 2 * most) & ~paired  # a symmetrical photo is a pair once
                a, b = np.nonzero(close)
                i, j = a + top, b + left
                same = (i < j) & _same_colors(wide[i], _turned(wide[j], turn))
                a, b, i, j = a[same], b[same], i[same], j[same]
                paired[a, b] = True
                if len(i):
                    yield Pairs(i, j, ((BITS - products[a, b]) / 2).astype(np.intp), turned=number > 0)
        on_rows(min(top + _TILE, len(hashes)))


def _same_colors(first: NDArray[np.int16], second: NDArray[np.int16]) -> NDArray[np.bool_]:
    difference = np.abs(first - second)
    alike = difference[..., 0].mean(axis=(1, 2)) <= _LUMA
    return alike & (difference[..., 1:].max(axis=(1, 2, 3)) <= _CHROMA)


def _turned(grids: NDArray[np.int16], turn: Orientation) -> NDArray[np.int16]:
    """Grids [N, 8, 8, 3] of photos in another orientation."""
    grids = grids.swapaxes(1, 2) if turn.transposed else grids
    grids = grids[:, ::-1] if turn.upside_down else grids
    return grids[:, :, ::-1] if turn.mirrored else grids


def _signs(hashes: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.unpackbits(hashes, axis=1, count=BITS).astype(np.float32) * 2 - 1


@dataclass(frozen=True)
class AlikeSet:
    """Photos, each of which looks the same as another one of the set."""

    members: list[int]
    """The photos, by index."""
    bits: int
    """The largest difference of such a pair, in bits of the hash."""
    conflicting: list[int]
    """Those that look the same as one with another label."""
    leaking: list[int]
    """Those that look the same as one in another part."""
    turned: bool = False
    """Whether some of them look the same only once they are turned or mirrored."""
    equal: bool = False
    """Whether they are files with the same bytes."""

    def renumbered(self, numbers: Sequence[int]) -> AlikeSet:
        """The same set with ``numbers[i]`` for the photo i."""
        return replace(
            self,
            members=[numbers[i] for i in self.members],
            conflicting=[numbers[i] for i in self.conflicting],
            leaking=[numbers[i] for i in self.leaking],
        )


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
            equal=True,
        )
        for members in by_digest.values()
        if len(members) > 1
    ]


def near_sets(pairs: Iterable[Pairs], labels: Sequence[str], parts: Sequence[str | None]) -> list[AlikeSet]:
    """Sets of photos that pairs link, the most alike first.

    Args:
        pairs: of ``near_pairs``.
        labels: the label of each photo.
        parts: the part of each photo.
    """
    n = len(labels)
    label, part = (np.unique([str(value) for value in values], return_inverse=True)[1] for values in (labels, parts))
    firsts = np.arange(n)  # of each photo's set, the first photo
    widest = np.zeros(n, dtype=np.intp)
    conflicts, leaks, turned = (np.zeros(n, dtype=bool) for _ in range(3))
    for i, j, bits, of_turned in pairs:
        np.maximum.at(widest, i, bits)
        turned[i] |= of_turned
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
            turned=bool(turned[members].any()),
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
