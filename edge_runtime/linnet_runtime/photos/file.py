"""One labelled photo on the disk, and how the names of classes, parts and files are read. Internal."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

PARTS = ("train", "val", "test")
_PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_NAMED = 4  # files of each reason in one line


@dataclass(frozen=True)
class PhotoFile:
    """A photo on the disk."""

    path: Path
    label: str
    """The class, in Unicode's form NFC."""
    part: str | None = None
    """"train", "val" or "test" where DATA is divided, else None."""
    group: str | None = None
    """What a table's column of groups holds."""


@dataclass(frozen=True)
class SkippedFile:
    """A file in DATA that is not read."""

    path: Path
    reason: str
    part: str | None = None
    """The part of the class folder that it lies in."""
    label: str | None = None
    """The class of the folder that it lies in; None for a file elsewhere."""


@dataclass
class PhotoListing:
    """What a folder or a table of photos holds."""

    photos: list[PhotoFile]
    """Sorted by part, class and name, by code point."""
    skipped: list[SkippedFile] = field(default_factory=list)
    class_folders: dict[tuple[str | None, str], Path] = field(default_factory=dict)
    """The folder of each part and class, with or without photos; a table has none."""


def part_named(name: str) -> str | None:
    """The part that a name stands for, such as Training or valid: "train", "val" or "test"; None for another name."""
    return _PART_NAMES.get(name.strip().casefold())


def label_named(name: str) -> str:
    """A class's name in Unicode's form NFC: some systems spell an accented letter in two code points, others in one."""
    return unicodedata.normalize("NFC", name)


def describe_skipped(skipped: Iterable[tuple[str, str]]) -> str:
    """One line that counts files, given as (name, reason), by their reason and names the first of each."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, reason in skipped:
        by_reason[reason].append(name)
    total = sum(len(names) for names in by_reason.values())
    return f"{total} file{'s' * (total != 1)} not read: " + "; ".join(
        f"{reason} ({len(names)}): {shortened(names)}" for reason, names in by_reason.items()
    )


def shortened(names: list[str]) -> str:
    """The first few names and the number of the others."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
