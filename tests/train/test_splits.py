"""The division of photos: given parts, stratified folds, groups that are never divided."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet_runtime.photos.file import PhotoFile
from linnet_train.data.splits import check_classes, divide
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Split
from linnet_train.training.batches import balanced
from networks import TINY
from program import Program, one_line_error

ROOT = Path("data.csv")


def photos_of(objects: dict[str, list[int]], *, part: str | None = None) -> list[PhotoFile]:
    """Files of classes whose objects have been photographed so many times; the group is the object."""
    return [
        PhotoFile(Path(label, f"{label}{number}_{shot}.jpg"), label, part, f"{label}{number}")
        for label, shots in objects.items()
        for number, count in enumerate(shots)
        for shot in range(count)
    ]


def groups_in(files: list[PhotoFile], parts: dict[str, Any]) -> dict[str, set[str | None]]:
    return {part: {files[i].group for i in indices} for part, indices in parts.items()}


class TestFolds:
    FILES = tuple(PhotoFile(Path(f"{label}{i}.jpg"), label) for label, n in (("a", 30), ("b", 20)) for i in range(n))

    @pytest.mark.parametrize("folds", [3, 5, 10])
    def test_the_parts_are_one_fold_each_and_the_rest(self, folds: int) -> None:
        parts = divide(ROOT, list(self.FILES), Split(folds=folds), 0)
        assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(50))
        for part in ("val", "test"):
            counts = Counter(self.FILES[i].label for i in parts[part])
            assert all(abs(counts[label] - n / folds) < 1 for label, n in (("a", 30), ("b", 20)))

    def test_each_photo_is_tested_in_one_fold_and_validates_in_the_one_before(self) -> None:
        parts = [divide(ROOT, list(self.FILES), Split(fold=fold), 3) for fold in range(1, 6)]
        assert sorted(np.concatenate([part["test"] for part in parts]).tolist()) == list(range(50))
        for this, following in zip(parts, [*parts[1:], parts[0]], strict=True):
            np.testing.assert_array_equal(this["val"], following["test"])

    def test_no_fold_named_is_the_first(self) -> None:
        named, unnamed = (divide(ROOT, list(self.FILES), Split(fold=fold), 0) for fold in (1, None))
        for part in named:
            np.testing.assert_array_equal(named[part], unnamed[part])

    def test_a_class_with_fewer_photos_than_folds_is_refused(self) -> None:
        few = list(self.FILES[:39])
        check_classes(ROOT, few, Split())
        with pytest.raises(TrainingError, match=r"data.csv, b: got 9 photos.*at least 10, one for each fold"):
            check_classes(ROOT, few, Split(folds=10))


OBJECTS = {"bolt": [6, 3, 1, 5, 4, 2, 7], "nut": [2, 2, 9, 1, 3, 4]}


class TestGroups:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("folds", [3, 5])
    def test_no_object_is_in_two_parts(self, folds: int, seed: int) -> None:
        files = photos_of(OBJECTS)
        parts = divide(ROOT, files, Split(folds=folds), seed)
        found = groups_in(files, parts)
        assert sum(len(groups) for groups in found.values()) == 13, "each group in one part"
        assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(files)))
        assert all(found.values())

    def test_a_pattern_on_the_names_is_as_good_as_a_column(self) -> None:
        files = photos_of(OBJECTS)
        bare = [PhotoFile(file.path, file.label) for file in files]
        by_column = divide(ROOT, files, Split(), 0)
        by_pattern = divide(ROOT, bare, Split(group_pattern=r"(\w+)_\d"), 0)
        for part in by_column:
            np.testing.assert_array_equal(by_column[part], by_pattern[part])

    def test_a_photo_without_a_group_is_one_by_itself(self) -> None:
        files = photos_of(OBJECTS)
        loose = [PhotoFile(Path(f"{label}/x{i}.jpg"), label) for label in OBJECTS for i in range(10)]
        parts = divide(ROOT, files + loose, Split(), 0)
        assert all(any(i >= len(files) for i in indices) for indices in parts.values())
        found = groups_in(files + loose, parts)
        assert sum(len(groups - {None}) for groups in found.values()) == 13

    @pytest.mark.parametrize(
        ("objects", "says"),
        [
            ({"bolt": [9, 9], "nut": [9, 9]}, "got 4 groups, expected at least 5, one for each fold"),
            ({"bolt": [2] * 9, "nut": [9, 9]}, "got 2 groups of the class nut, expected at least 3"),
        ],
    )
    def test_too_few_groups_are_refused(self, objects: dict[str, list[int]], says: str) -> None:
        with pytest.raises(TrainingError, match=says):
            divide(ROOT, photos_of(objects), Split(), 0)

    def test_a_name_without_the_pattern_is_refused(self) -> None:
        files = [*photos_of(OBJECTS), PhotoFile(Path("bolt/loose.jpg"), "bolt")]
        with pytest.raises(TrainingError, match=r"got bolt/loose.jpg without split.group_pattern, expected"):
            divide(ROOT, files, Split(group_pattern=r"(\w+)_\d"), 0)

    def test_validation_comes_out_of_training_group_by_group(self) -> None:
        learnt = photos_of(OBJECTS, part="train")
        files = learnt + [PhotoFile(Path(f"{x}t.jpg"), x, "test", f"other {x}") for x in OBJECTS]
        parts = divide(ROOT, files, Split(), 0)
        found = groups_in(files, parts)
        assert found["test"] == {"other bolt", "other nut"}
        assert not found["train"] & found["val"]
        assert len(found["train"] | found["val"]) == 13

    def test_a_group_in_two_given_parts_is_refused(self) -> None:
        files = photos_of(OBJECTS, part="train") + photos_of({"bolt": [1], "nut": [1]}, part="test")
        with pytest.raises(TrainingError, match="got 2 groups in both train and test"):
            divide(ROOT, files, Split(), 0)


class TestGivenParts:
    @pytest.mark.parametrize("part", ["val", "test"])
    def test_a_class_that_only_another_part_has_is_refused_with_the_nearest_that_training_has(self, part: str) -> None:
        files = photos_of({"bolt": [9], "nut": [9]}, part="train") + photos_of({"bolts": [3], "nut": [3]}, part=part)
        says = f"data.csv, train: got no bolts, which {part} has, expected every class. Fix: is bolts the class bolt?"
        with pytest.raises(TrainingError, match=re.escape(says)):
            divide(ROOT, files, Split(), 0)

    def test_folds_of_photos_that_have_parts_are_refused(self) -> None:
        files = photos_of({"a": [9], "b": [9]}, part="train") + photos_of({"a": [3], "b": [3]}, part="test")
        with pytest.raises(TrainingError, match="got parts of its own"):
            divide(ROOT, files, Split(fold=1), 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["split.group_pattern=(a)(b)"], "recipe $.split: got group_pattern '(a)(b)' with 2 groups in brackets"),
        (["split.group_pattern=(a"], "recipe $.split: got group_pattern '(a': missing )"),
        (["split.group_pattern=(a)", "split.group_column=x"], "group_column or group_pattern, one of the two"),
        (["split.folds=2"], "recipe $.split.folds: got 2, expected int >= 3"),
        (["split.group_colunm=x"], "recipe $.split: got 'group_colunm', expected group_column"),
        (["sampling=balance"], "recipe $.sampling: got 'balance', expected balanced"),
        (["augment.view=overhaed"], "recipe $.augment.view: got 'overhaed', expected overhead"),
        (["augment.mixp=1"], "recipe $.augment: got 'mixp', expected one of mixup"),
        (["augment.hue=2"], "recipe $.augment.hue: got 2, expected float <= 0.5"),
    ],
)
def test_a_bad_setting_gets_one_line(
    settings: list[str], says: str, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    options = [option for setting in settings for option in ("--set", setting)]
    assert says in one_line_error(program("train", easy_photos, "--out", tmp_path / "run", *TINY, *options, status=1))
    assert not (tmp_path / "run").exists()


class TestBalancedSampling:
    LABELS = np.array([0] * 100 + [1] * 7 + [2] * 20)

    def drawn(self, seed: int) -> np.ndarray:
        return balanced(np.arange(127) + 1000, self.LABELS, np.random.default_rng(seed)) - 1000

    def test_an_epoch_is_as_long_and_has_each_class_equally_often(self) -> None:
        drawn = self.drawn(0)
        assert len(drawn) == 127
        assert sorted(Counter(self.LABELS[drawn]).values()) == [42, 42, 43]

    def test_photos_of_a_small_class_come_equally_often_and_none_of_a_large_one_twice(self) -> None:
        counts = Counter(self.drawn(0).tolist())
        assert {counts[i] for i in range(100)} == {0, 1}
        assert {counts[i] for i in range(100, 107)} <= {6, 7}
        assert {counts[i] for i in range(107, 127)} <= {2, 3}

    def test_every_epoch_draws_others_of_a_large_class(self) -> None:
        first, second = (set(self.drawn(seed).tolist()) & set(range(100)) for seed in (0, 1))
        assert len(first | second) > 55
