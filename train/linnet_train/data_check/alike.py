"""Photos that look the same: the search for pairs of perceptual hashes that differ in few bits.

Each photo is compared with every other one in its eight orientations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linnet_runtime.perceptual_hash import BITS, ORIENTATIONS, Orientation, same_colors

_TILE = 512  # photos; the matrix of all distances would not fit into memory

Indices = NDArray[np.intp]


class Pairs(NamedTuple):
    """Pairs of photos that look the same."""

    i: Indices
    j: Indices
    """The photos, by index, i < j."""
    bits: Indices
    """The bits in which their hashes differ."""
    turned: bool
    """Whether they look the same only once the second one is turned or mirrored."""


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
                same = (i < j) & same_colors(wide[i], _turned(wide[j], turn))
                a, b, i, j = a[same], b[same], i[same], j[same]
                paired[a, b] = True
                if len(i):
                    yield Pairs(i, j, ((BITS - products[a, b]) / 2).astype(np.intp), turned=number > 0)
        on_rows(min(top + _TILE, len(hashes)))


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
