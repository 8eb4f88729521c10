"""The split of photos into train, val and test, stratified by class. Photos of one group stay in one part."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from linnet_devices.errors import Fix, Setting, nearest
from linnet_runtime.photos.file import PARTS, PhotoFile
from linnet_runtime.photos.listing import class_names, photo_name
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Split

Indices = NDArray[np.intp]

_OTHER_SPLIT: Fix = (Setting("seed", placeholder="N"), "more objects of the class")
_GROUPS = 3  # at least, for each class: one for each part


def check_classes(data: Path, files: list[PhotoFile], split: Split, part: str | None = None) -> None:
    """Raises TrainingError for fewer than two classes, and for a class with fewer photos than folds.

    ``part`` is the part that all files belong to, if DATA has parts.
    """
    classes = class_names(files)
    if len(classes) < 2:
        raise TrainingError(
            _place(data, part),
            got=f"one class, {classes[0]}",
            expected="at least two",
            fix="a folder of photos for each class",
        )
    counts = Counter(file.label for file in files)
    for name in classes:
        count = counts[name]
        if count < split.folds:
            raise TrainingError(
                _place(data, part, name),
                got=f"{count} photo{'s' * (count != 1)} that can be read",
                expected=f"at least {split.folds}" + ", one for each fold" * (split.folds != Split().folds),
                fix="add photos of the class, or leave it out",
            )


def divide(data: Path, files: list[PhotoFile], split: Split, seed: int) -> dict[str, Indices]:
    """The indices of the photos of train, val and test.

    If DATA has no parts, the photos are distributed over ``split.folds`` folds, with every class in the same
    proportion. Fold ``split.fold`` is the test part, the next one is validation, and the others are training. If DATA
    has two parts, validation is taken from training. Photos of one group stay in one part.

    Raises:
        TrainingError: parts that cannot be trained on, a class that is missing from training, a group in two parts, too
            few groups, or a file name that the pattern of the groups does not match.
    """
    groups = _groups(data, files, split)
    labels = np.unique([file.label for file in files], return_inverse=True)[1]
    own = {part: np.flatnonzero([file.part == part for file in files]) for part in PARTS}
    own = {part: indices for part, indices in own.items() if len(indices)}
    everything = np.arange(len(files))
    if not own:
        if groups is not None:
            _check_groups(data, files, groups, split)
        folds = _folds(labels, everything, groups, split, seed)
        # The test part first, then validation; the rest is training.
        first = split.fold - 1 if isinstance(split.fold, int) else 0
        test, val, *train = folds[first:] + folds[:first]
        parts = {"train": np.sort(np.concatenate(train)), "val": val, "test": test}
        _check_learnt(data, files, parts, _OTHER_SPLIT)
        return parts
    if split.fold is not None:
        raise TrainingError(
            str(data), got="parts of its own", expected="photos without parts, which cross-validation divides"
        )
    if "train" not in own or len(own) == 1:
        raise TrainingError(str(data), got="only " + ", ".join(own), expected="train and test, or train and val")
    _check_learnt(data, files, own, None)
    if groups is not None:
        _check_leaks(data, groups, own)
    learnt = [files[i] for i in own["train"]]
    check_classes(data, learnt, split, "train")
    if len(own) == 2:  # the second part tests the model, and validation is taken from training
        judged = own.get("test", own.get("val", own["train"]))
        if groups is not None:
            _check_groups(data, learnt, groups[own["train"]], split)
        val, *train = _folds(labels, own["train"], groups, split, seed)
        own = {"train": np.sort(np.concatenate(train)), "val": val, "test": judged}
        _check_learnt(data, files, own, _OTHER_SPLIT)
    return own


def _folds(
    labels: NDArray[np.intp], indices: Indices, groups: NDArray[np.intp] | None, split: Split, seed: int
) -> list[Indices]:
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = kind(split.folds, shuffle=True, random_state=seed)
    of_group = None if groups is None else groups[indices]
    return [indices[fold] for _, fold in folds.split(indices, labels[indices], of_group)]


def _groups(data: Path, files: list[PhotoFile], split: Split) -> NDArray[np.intp] | None:
    """The group of each photo, as a number; None if DATA has no groups. A photo without a group is a separate group."""
    if split.group_pattern is not None:
        names = [photo_name(file, data) for file in files]
        found = [re.search(split.group_pattern, name) for name in names]
        if without := [name for name, match in zip(names, found, strict=True) if match is None]:
            more = f" and {len(without) - 1} more" if len(without) > 1 else ""
            raise TrainingError(
                str(data),
                got=f"{without[0]}{more} without split.group_pattern",
                expected=f"{split.group_pattern} in every name",
            )
        keys = [match[1] or "" for match in found if match is not None]
    elif any(file.group for file in files):
        keys = [f"group {file.group}" if file.group else f"photo {file.path}" for file in files]
    else:
        return None
    return np.unique(keys, return_inverse=True)[1]


def _check_groups(data: Path, files: list[PhotoFile], groups: NDArray[np.intp], split: Split) -> None:
    count = len(np.unique(groups))
    if count < split.folds:
        raise TrainingError(
            str(data), got=f"{count} group{'s' * (count != 1)}", expected=f"at least {split.folds}, one for each fold"
        )
    of_class = defaultdict(set)
    for file, group in zip(files, groups, strict=True):
        of_class[file.label].add(group)
    for name, its in of_class.items():
        if len(its) < _GROUPS:
            raise TrainingError(
                str(data),
                got=f"{len(its)} group{'s' * (len(its) != 1)} of the class {name}",
                expected=f"at least {_GROUPS}, one for each part",
            )


def _check_leaks(data: Path, groups: NDArray[np.intp], parts: dict[str, Indices]) -> None:
    names = list(parts)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = np.intersect1d(groups[parts[first]], groups[parts[second]])
            if len(shared):
                raise TrainingError(
                    str(data),
                    got=f"{len(shared)} group{'s' * (len(shared) != 1)} in both {first} and {second}",
                    expected="photos of one group in one part",
                )


def _check_learnt(data: Path, files: list[PhotoFile], parts: dict[str, Indices], fix: Fix | None) -> None:
    """Raises TrainingError for a class that is missing from training: all of its test photos would be wrong."""
    learnt = {files[i].label for i in parts["train"]}
    for part in PARTS[1:]:
        missing = sorted({files[i].label for i in parts.get(part, ())} - learnt)
        if missing:
            near = nearest(missing[0], learnt)
            raise TrainingError(
                _place(data, "train"),
                got=f"no {', '.join(missing)}, which {part} has",
                expected="every class",
                fix=f"is {missing[0]} the class {near[0]}?" if near and fix is None else fix,
            )


def _place(data: Path, part: str | None, label: str | None = None) -> str:
    """``DATA/train/bolt`` for a folder, ``DATA.csv, train, bolt`` for a table."""
    inner = [name for name in (part, label) if name is not None]
    return str(data.joinpath(*inner)) if data.is_dir() else ", ".join([str(data), *inner])
