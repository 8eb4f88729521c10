"""Families: photos that belong together by their names, and the pattern that keeps them together in a split.

Three naming schemes are recognized; each is a regular expression for the recipe's ``split.group_pattern``:

IMG_1.jpg, IMG_1(2).jpg, Copy of IMG_1.jpg, IMG_1_rot90.jpg     marks of a copy
box7_0.jpg, box7_1.jpg, IMG_1_0.jpg, IMG_1_1.jpg                the last number counts the photos of a family
_0_1234.jpeg, _1_1234.jpeg                                      the first number counts them
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_ROBOFLOW = r"_(?:jpe?g|png)\.rf\.[0-9a-z]+"  # each version of a photo has a hash of its own, and no original is kept
_COPY = (
    r"(?: ?\(\d+\)|~\d+"
    r"| - copy|[ _-]copy ?\d*"
    rf"|{_ROBOFLOW}"
    r"|[ _-](?:edited|aug|augmented|rot|rotated?|flip|flipped|hflip|vflip|mirror|mirrored)[ _-]?\d*)"
)
_MARKED = rf"(?i)(?:^|/)(?:copy of )?([^/]+?){_COPY}*\.\w+$"
_LAST_COUNTS = r"([^/]*\d)[^/\d]+\d+[^/\d]*\.\w+$"
_FIRST_COUNTS = r"(?:^|/)[^/\d]*\d+[^/\d]+(\d[^/]*)\.\w+$"
_COUNTER = {_LAST_COUNTS: re.compile(r"(\d+)[^/\d]*\.\w+$"), _FIRST_COUNTS: re.compile(r"(?:^|/)[^/\d]*(\d+)[^/]*$")}
_FOLDS = 5  # of a split of linnet train
_GROUPS = 3  # at least, for each class: one for each of train, val and test
_SEEN_TOGETHER = 0.9  # the share of sets of photos that look the same that a pattern must keep together
_SEEN = 3  # such sets, at least: fewer cannot decide between patterns
_COUNTED = 0.8  # the share of families that must have the numbers 0, 1, 2, ... or 1, 2, 3, ...
_IN_FAMILIES = 0.5  # the share of photos that must be in families, if only numbers indicate them
_LEAST_FAMILIES = 3


@dataclass(frozen=True)
class Families:
    """Photos that belong together by their names."""

    pattern: str
    """For ``split.group_pattern``: it matches every name, with the same text for the photos of one family."""
    families: list[list[int]]
    """The photos of each family of two or more, by index. They have one class: 001.jpg in two classes is chance."""


def find_families(names: Sequence[str], labels: Sequence[str], alike: Sequence[Sequence[int]]) -> Families | None:
    """The families that the names indicate; None if they indicate none.

    Photos that look the same decide which part of a name is the family. Without them, the pattern must be clear: a mark
    of a copy beside the name of the original, or numbers that count the photos of each family from 0 or 1.

    Args:
        names: the photos' paths relative to DATA.
        labels: their classes.
        alike: sets of photos that look the same, by index.
    """
    tried = [found for pattern in (_MARKED, _LAST_COUNTS, _FIRST_COUNTS) if (found := _try(pattern, names, labels))]
    if len(alike) >= _SEEN:
        shares = [_share_kept_together(alike, found) for found in tried]
        if shares and max(shares) >= _SEEN_TOGETHER:
            return tried[shares.index(max(shares))]
    return next((found for found in tried if _beyond_doubt(found, names)), None)


def _try(pattern: str, names: Sequence[str], labels: Sequence[str]) -> Families | None:
    """The families of a pattern; None if the photos cannot be split by it."""
    groups = defaultdict(list)
    for i, name in enumerate(names):
        match = re.search(pattern, name)
        if match is None:
            return None
        groups[match[1]].append(i)
    families = [
        own
        for members in groups.values()
        for own in _by_label(members, labels)
        if len({_stem(names[i]) for i in own}) > 1  # the same name in two parts is chance too
    ]
    of_class = Counter(label for members in groups.values() for label in {labels[i] for i in members})
    too_large = any(len(members) > len(names) / _FOLDS for members in groups.values())
    if not families or too_large or len(groups) < _FOLDS or min(of_class.values()) < _GROUPS:
        return None
    return Families(pattern, families)


def _by_label(members: list[int], labels: Sequence[str]) -> list[list[int]]:
    by_label = defaultdict(list)
    for i in members:
        by_label[labels[i]].append(i)
    return list(by_label.values())


def _share_kept_together(alike: Sequence[Sequence[int]], found: Families) -> float:
    family_of = {i: number for number, members in enumerate(found.families) for i in members}
    kept = sum(len({family_of.get(i, -1 - i) for i in members}) == 1 for members in alike)
    return kept / len(alike)


def _beyond_doubt(found: Families, names: Sequence[str]) -> bool:
    if found.pattern == _MARKED:
        families = ([names[i] for i in members] for members in found.families)
        return any(_has_original(found.pattern, family) or _are_roboflows(family) for family in families)
    counted = sum(_counts([names[i] for i in members], found.pattern) for members in found.families)
    photos = sum(len(members) for members in found.families)
    enough = len(found.families) >= _LEAST_FAMILIES and photos >= _IN_FAMILIES * len(names)
    return enough and counted >= _COUNTED * len(found.families)


def _has_original(pattern: str, names: list[str]) -> bool:
    """Whether one name has no mark. Windows also gives the names "bolt (1)" and "bolt (2)" to different photos."""
    matches = [re.search(pattern, name) for name in names]
    return any(match is not None and match[1] == _stem(name) for match, name in zip(matches, names, strict=True))


def _are_roboflows(names: list[str]) -> bool:
    return all(re.search(rf"(?i){_ROBOFLOW}\.\w+$", name) for name in names)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _counts(names: list[str], pattern: str) -> bool:
    """Whether the names of a family have the numbers 0, 1, 2, ... or 1, 2, 3, ..., each at least once."""
    numbers = {int(match[1]) for name in names if (match := _COUNTER[pattern].search(name))}
    return len(numbers) > 1 and min(numbers) in (0, 1) and max(numbers) - min(numbers) == len(numbers) - 1


def divided_families(found: Families, parts: Sequence[str | None]) -> Iterator[list[int]]:
    """The families whose photos are in more than one part."""
    return (members for members in found.families if len({parts[i] for i in members}) > 1)
