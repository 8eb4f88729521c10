"""The kinds of findings of a data check, and the rule for each."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from linnet_runtime.perceptual_hash import BITS
from linnet_runtime.photos.file import PARTS, PhotoListing
from linnet_runtime.photos.folder import IGNORED_ON_PURPOSE
from linnet_runtime.photos.listing import find_photos, photo_name
from linnet_train.data_check.alike import AlikeSet, equal_sets, near_pairs, near_sets
from linnet_train.data_check.examine import Examined, examine_photos
from linnet_train.data_check.families import Families, divided_families, find_families

Level = Literal["error", "warning", "note"]

# Each kind has its name and advice. It is an error if training refuses it, leaves it out, or would give wrong figures.
KINDS = {
    "undecodable": ("cannot be decoded", "Training leaves these out. Get them again, or delete them."),
    "conflict": ("conflicting labels", "The same picture is in two classes. Keep the right one."),
    "leak": ("leak between parts", "A test photo that was used in training proves nothing. Keep it in one part."),
    "missing_class": (
        "missing class or part",
        "A model learns only the classes in train, and is tested only on those in test.",
    ),
    "tiny_class": ("tiny class", "Add photos, or remove the class."),
    "duplicate": ("exact duplicates", "Keep one of each. A random split would put copies into two parts."),
    "near_duplicate": (
        "near duplicates",
        "Second shots or edited copies (different pictures are 127 bits apart). Keep one, or all in one part.",
    ),
    "turned_duplicate": (
        "turned or mirrored copies",
        "The same photo in other orientations. Keep one, or all in one part: augmentation can turn photos.",
    ),
    "name_family": (
        "families by name",
        "By their names, these photos are copies or show one object. A split must keep them together.",
    ),
    "odd_size": ("odd size", "Check whether these belong here. All photos get one size in training."),
    "ignored": ("not read by training", "Photos must be in the folder of their class, in a format that is read."),
    "grey": ("gray", "The network may learn that gray means a class. The photos of the camera will not do so."),
    "sixteen_bit": ("16 bits per channel", "They are read as 8 bits. Dark ones lose most of their detail."),
    "alpha": ("alpha channel", "It is dropped. Transparent pixels get the color that is stored there."),
    "exif_rotation": ("EXIF rotation", "Linnet turns these upright. A tool that ignores EXIF reads them turned."),
}
SMALLEST_SIDE = 32  # pixels: the smallest input of a network
_REFUSED_BELOW = 5  # training photos of a class, as in linnet train
_FEW = 20
_SMALL_SHARE = 0.1  # of the largest class
_TIMES_SIZE = 4  # from the median side, unless the sizes of the folder vary more
_TIMES_ASPECT = 2
_OUTLIER = 3.5  # modified z-score (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993)


@dataclass(frozen=True)
class Finding:
    """A problem, or a thing to know, about some files."""

    kind: str
    """A key of ``KINDS``."""
    level: Level
    detail: str
    """What was found, in words."""
    files: tuple[str, ...]
    """Relative to the folder; a missing class has none."""


@dataclass(frozen=True)
class Check:
    """A checked folder or table."""

    paths: dict[str, Path]
    """The file of each photo, by the name that findings give to it."""
    classes: dict[str, dict[str, int]]
    """The number of readable photos: class -> part (or "all") -> count."""
    findings: tuple[Finding, ...]
    """In the order of ``KINDS``."""
    divided: bool
    """Whether DATA has parts of its own."""
    group_pattern: str | None
    """The recipe's ``split.group_pattern`` that keeps families of photos together; None where there are none."""

    @property
    def photos(self) -> int:
        return len(self.paths)

    def count(self, level: Level) -> int:
        return sum(finding.level == level for finding in self.findings)


def keep_together(found: Check, folder: Path) -> list[str]:
    """How a split keeps families of photos together: a sentence and the command; empty where there are no families."""
    if found.group_pattern is None:
        return []
    setting = shlex.quote(f"split.group_pattern={found.group_pattern}")
    if found.divided:
        say = "The parts of DATA divide families. Put all photos into folders of classes without parts, and train with"
    else:
        say = "To keep each family in one part, train with"
    return [say, f"  linnet train {shlex.quote(str(folder))} --out RUN --set {setting}"]


def check_folder(
    folder: Path, near: int, on_photo: Callable[[int, int], None], on_compared: Callable[[int, int], None]
) -> Check:
    """Checks every photo of a folder of classes, of train/, val/ and test/ with such folders, or of a table.

    Args:
        folder: DATA, as ``find_photos`` takes it.
        near: bits of 255 by which the hashes of near duplicates may differ.
        on_photo: is called with (photos read, photos in total).
        on_compared: is called with (photos compared with all others, photos that can be read).

    Raises:
        LinnetError: as ``find_photos``.
    """
    listing = find_photos(folder)
    files = listing.photos
    examined = []
    for photo in examine_photos(folder, files):
        examined.append(photo)
        on_photo(len(examined), len(files))
    readable = [photo for photo in examined if not photo.error]
    counts = _count(listing, readable, [part for part in PARTS if any(file.part == part for file in files)] or ["all"])
    alike = _alike(readable, near, on_compared)
    families = _families(examined, alike)
    findings = [
        *(Finding("undecodable", "error", photo.error, (photo.name,)) for photo in examined if photo.error),
        *(finding for found in alike for finding in _set_findings(readable, found)),
        *(_name_families(examined, families) if families else ()),
        *_classes(counts),
        *_ignored(folder, listing),
        *(_sizes(readable) if readable else ()),
        *_storage(readable),
    ]
    order = list(KINDS)
    findings.sort(key=lambda finding: order.index(finding.kind))
    paths = {photo_name(file, folder): file.path for file in files}
    divided = any(file.part for file in files)
    return Check(paths, counts, tuple(findings), divided, families.pattern if families else None)


def _alike(photos: list[Examined], near: int, on_compared: Callable[[int, int], None]) -> list[AlikeSet]:
    """Sets of equal files, then sets of photos that look the same, in which equal files are counted once."""
    labels, parts = [photo.label for photo in photos], [photo.part for photo in photos]
    equal = equal_sets([photo.sha256 for photo in photos], labels, parts)
    copies = {i for found in equal for i in found.members[1:]}
    single = [i for i in range(len(photos)) if i not in copies]
    if not single:
        return equal
    pairs = near_pairs(
        np.stack([hashes for i in single if (hashes := photos[i].hashes) is not None]),
        np.stack([colors for i in single if (colors := photos[i].colors) is not None]),
        near,
        lambda done: on_compared(done, len(single)),
    )
    found = near_sets(pairs, [labels[i] for i in single], [parts[i] for i in single])
    return [*equal, *(in_all.renumbered(single) for in_all in found)]


def _families(photos: list[Examined], alike: list[AlikeSet]) -> Families | None:
    """The families by name, of all photos, because the pattern for a split must match every name."""
    readable = [i for i, photo in enumerate(photos) if not photo.error]
    # Turned copies come from augmentation, which names them; second shots of a scene may have any names.
    turned = [[readable[i] for i in found.members] for found in alike if found.turned]
    return find_families([photo.name for photo in photos], [photo.label for photo in photos], turned)


def _name_families(photos: list[Examined], found: Families) -> Iterator[Finding]:
    divided = list(divided_families(found, [photo.part for photo in photos]))
    first, second = (photos[i].name.rpartition("/")[2] for i in found.families[0][:2])
    detail = f"{len(found.families)} families, such as {first} and {second}"
    if divided:
        detail += f"; {len(divided)} of them in two parts or more"
    names = tuple(photos[i].name for members in divided or found.families for i in members)
    yield Finding("name_family", "warning", detail, names)


def _set_findings(photos: list[Examined], found: AlikeSet) -> Iterator[Finding]:
    def names(members: list[int]) -> tuple[str, ...]:
        return tuple(photos[i].name for i in members)

    if found.equal:
        kind, what = "duplicate", "the same file"
    else:
        kind = "turned_duplicate" if found.turned else "near_duplicate"
        what = "turned or mirrored, " * found.turned + "up to " * (len(found.members) > 2)
        what += f"{found.bits} of {BITS} bits apart"
    if set(found.members) - set(found.conflicting) - set(found.leaking):  # else the errors say it all
        yield Finding(kind, "warning", what, names(found.members))
    if found.conflicting:
        labels = sorted({photos[i].label for i in found.conflicting})
        yield Finding("conflict", "error", f"{what}, labelled {' and '.join(labels)}", names(found.conflicting))
    if found.leaking:
        parts = [part for part in PARTS if part in {photos[i].part for i in found.leaking}]
        yield Finding("leak", "error", f"{what}, in {' and '.join(parts)}", names(found.leaking))


def _count(listing: PhotoListing, photos: list[Examined], parts: list[str]) -> dict[str, dict[str, int]]:
    """The readable photos by class and part. A class folder without photos is included."""
    classes = {label for _, label in listing.class_folders} | {photo.label for photo in photos}
    counted = Counter((photo.label, photo.part or "all") for photo in photos)
    return {label: {part: counted[label, part] for part in parts} for label in sorted(classes)}


def _classes(counts: dict[str, dict[str, int]]) -> Iterator[Finding]:
    if len(counts) == 1:
        yield Finding("missing_class", "error", f"one class only, {next(iter(counts))}; training needs two", ())
    parts = list(next(iter(counts.values())))
    if parts != ["all"] and (len(parts) == 1 or "train" not in parts):
        yield Finding(
            "missing_class", "error", f"only {' and '.join(parts)}; training needs train, and val or test", ()
        )
    for label, by_part in counts.items():
        for part, count in by_part.items():
            learnt = part in ("train", "all")
            place = "" if part == "all" else f" in {part}"
            if count == 0:
                yield Finding("missing_class", "error" if learnt else "warning", f"{label}: no photo{place}", ())
                continue
            detail = f"{label}: {count} photo{'s' * (count != 1)}{place}"
            largest = max(other[part] for other in counts.values())
            if count < _REFUSED_BELOW:
                least = f", training needs {_REFUSED_BELOW}" if learnt else ""
                yield Finding("tiny_class", "error" if learnt else "warning", detail + least, ())
            elif learnt and (count < _FEW or count < _SMALL_SHARE * largest):
                yield Finding("tiny_class", "warning", f"{detail}, the largest class has {largest}", ())


def _ignored(folder: Path, listing: PhotoListing) -> Iterator[Finding]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for file in listing.skipped:
        by_reason[file.reason].append(photo_name(file, folder))
    for reason, files in by_reason.items():
        level: Level = "note" if reason in IGNORED_ON_PURPOSE else "warning"
        yield Finding("ignored", level, reason, tuple(files))


def _sizes(photos: list[Examined]) -> Iterator[Finding]:
    """Pictures smaller than any network's input, and those that differ much from the others in size or aspect."""
    width = np.array([photo.width for photo in photos])
    height = np.array([photo.height for photo in photos])
    side = np.log2(width * height) / 2
    aspect = np.abs(np.log2(width / height))  # landscape and portrait count as equal
    middle = np.median(side)
    far = max(np.log2(_TIMES_SIZE), _spread(side))
    narrow = max(np.log2(_TIMES_ASPECT), _spread(aspect))
    usual = f"most have sides of about {2**middle:.0f} pixels"
    for chosen, what in (
        (np.minimum(width, height) < SMALLEST_SIDE, f"a side below {SMALLEST_SIDE} pixels"),
        (side < middle - far, f"far smaller than the others; {usual}"),
        (side > middle + far, f"far larger than the others; {usual}"),
        (aspect > np.median(aspect) + narrow, "far longer or narrower than the others; the crop removes most of them"),
    ):
        odd = np.flatnonzero(chosen)
        if len(odd):
            sizes = Counter(f"{width[i]}x{height[i]}" for i in odd).most_common(3)
            shown = ", ".join(size for size, _ in sizes)
            detail = f"{what}: {shown}{', ...' * (len(odd) > sum(count for _, count in sizes))}"
            yield Finding("odd_size", "warning", detail, tuple(photos[i].name for i in odd))


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """How far from the median a value may be before it is an outlier, by the median absolute deviation."""
    return float(_OUTLIER * 1.4826 * np.median(np.abs(values - np.median(values))))


def _storage(photos: list[Examined]) -> Iterator[Finding]:
    for kind in ("grey", "sixteen_bit", "alpha", "exif_rotation"):
        attribute = "turned" if kind == "exif_rotation" else kind
        chosen = [photo for photo in photos if getattr(photo, attribute)]
        if not chosen:
            continue
        labels = Counter(photo.label for photo in chosen).most_common(3)
        shown = ", ".join(f"{label} ({count})" for label, count in labels)
        others = ", ..." if len(chosen) > sum(count for _, count in labels) else ""
        level: Level = "warning" if kind == "grey" and len(chosen) < len(photos) else "note"
        detail = f"{len(chosen)} of {len(photos)} photos: {shown}{others}"
        yield Finding(kind, level, detail, tuple(photo.name for photo in chosen))
