"""The division of photos: given parts, stratified folds, groups that are never divided, and tables."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet_devices.api import LinnetError
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.photo_file import PhotoFile
from linnet_runtime.photos import list_photos, photo_name
from linnet_runtime.preprocess import Preprocess
from linnet_train.data.splits import check_classes, divide
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Split
from linnet_train.training.batches import balanced
from networks import CLASSES, PER_CLASS, TINY
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


class TestTables:
    @pytest.fixture
    def write(self, easy_photos: Path, tmp_path: Path) -> Callable[..., Path]:
        """A table of the easy photos: each row as ``change`` makes it of (path, label, part, group)."""
        shutil.copytree(easy_photos, tmp_path / "photos")

        def write(change: Callable[[list[str]], list[str]], header: str = "path,label") -> Path:
            table = tmp_path / "table.csv"
            with table.open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(header.split(","))
                for i, photo in enumerate(sorted(tmp_path.glob("photos/*/*"))):
                    name = photo.relative_to(tmp_path).as_posix()
                    part = "test" if i % 4 == 0 else "train"
                    rows.writerow(change([name, photo.parent.name, part, f"object {i // 2}"]))
            return table

        return write

    @staticmethod
    def two(row: list[str]) -> list[str]:
        return row[:2]

    def test_paths_are_relative_to_the_table_and_the_order_is_the_folders(
        self, write: Callable[..., Path], tmp_path: Path
    ) -> None:
        table = write(self.two)
        lines = table.read_text().splitlines()
        table.write_text("\ufeff" + "\n".join([lines[0], *reversed(lines[1:]), "", ""]))  # as a spreadsheet saves it
        files, of_folder = list_photos(table), list_photos(tmp_path / "photos")
        assert files == of_folder
        assert photo_name(files[0], table) == "photos/blue/00.jpg"
        assert photo_name(of_folder[0], tmp_path / "photos") == "blue/00.jpg"

    def test_parts_groups_and_other_columns(self, write: Callable[..., Path]) -> None:
        files = list_photos(write(lambda row: [*row, "x"], "path,label,part,group,remark"))
        assert Counter(file.part for file in files) == {"train": 45, "test": 15}
        assert len({file.group for file in files}) == 30
        files = list_photos(write(lambda row: [row[0], row[1], row[3]], "path,label,object"), "object")
        assert len({file.group for file in files}) == 30

    def test_a_table_judges_a_model_as_a_folder_does(self, write: Callable[..., Path]) -> None:
        table = write(lambda row: row, "path,label,part,group")
        photos = load_labelled_photos(table, tuple(CLASSES), Preprocess(height=32, width=32))
        assert len(photos) == 15, "its test part"

    def test_data_check_reads_it(self, write: Callable[..., Path], program: Program) -> None:
        table = write(lambda row: row[:3], "path,label,part")
        (table.parent / "photos" / "red" / "00.jpg").write_bytes(b"")
        error = program("data", "check", table, "--page", table.with_name("page.html"), status=1)
        assert "photos/red/00.jpg" in error.stdout
        assert "60 photos of 3 classes" in error.stdout

    @pytest.mark.parametrize(
        ("header", "row", "says"),
        [
            ("file,label", 2, "got the columns file, label, expected a column path"),
            ("path,labels", 2, "expected a column label. Fix: is it the column labels?"),
            (
                "path,label,part",
                2,
                "line 2: got too few cells, expected a cell for each column. Fix: the same",
            ),
            ("path,label", 3, "line 2: got too many cells"),
        ],
    )
    def test_columns_that_do_not_fit_are_refused(
        self, header: str, row: int, says: str, write: Callable[..., Path]
    ) -> None:
        with pytest.raises(LinnetError, match=re.escape(says)):
            list_photos(write(lambda cells: cells[:row], header))

    @pytest.mark.parametrize(
        ("before", "after", "says"),
        [
            ("photos/blue/03.jpg", "photos/blue/nowhere.jpg", r"table.csv line 5: got no file .*nowhere.jpg"),
            ("photos/blue/03.jpg", "photos/blue/00.jpg", "line 5: got photos/blue/00.jpg again, which line 2 has"),
            ("photos/blue/03.jpg", "photos/blue/03.txt", "line 5: got photos/blue/03.txt, expected a picture"),
            ("03.jpg,blue", "03.jpg,", "line 5: got no label, expected one"),
            ("03.jpg,blue,train", "03.jpg,blue,trian", "line 5: got the part 'trian', expected train"),
            ("03.jpg,blue,train", "03.jpg,blue,", "line 5: got the part '', expected train, val or test"),
        ],
    )
    def test_a_bad_row_is_named_by_its_line(
        self, before: str, after: str, says: str, write: Callable[..., Path]
    ) -> None:
        table = write(lambda row: row[:3], "path,label,part")
        text = table.read_text()
        assert text.count(before) == 1
        table.write_text(text.replace(before, after))
        with pytest.raises(LinnetError, match=says) as error:
            list_photos(table)
        assert "Fix" not in str(error.value), "one line only is bad"

    def test_every_bad_line_is_named(self, write: Callable[..., Path]) -> None:
        table = write(lambda row: [row[0], ""])
        with pytest.raises(LinnetError, match=r"line 2: got no label.* lines 3, 4, .*, 10, and 51 more, which are bad"):
            list_photos(table)

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "got an empty file"),
            (b"path,label\n", "got no rows"),
            (b"\xff\xfep\x00a\x00", "codec"),
            (None, "No such"),
        ],
    )
    def test_what_is_no_table_is_refused(self, content: bytes | None, says: str, tmp_path: Path) -> None:
        if content is not None:
            (tmp_path / "table.csv").write_bytes(content)
        with pytest.raises(LinnetError, match=says):
            list_photos(tmp_path / "table.csv")

    def test_a_group_column_that_is_not_there_is_refused(self, write: Callable[..., Path], easy_photos: Path) -> None:
        table = write(lambda row: [row[0], row[1], row[3]], "path,label,object_id")
        with pytest.raises(LinnetError, match=r"expected a column object\. Fix: is it the column object_id\?"):
            list_photos(table, "object")
        with pytest.raises(LinnetError, match="got no table, expected a CSV file with the column object"):
            list_photos(easy_photos, "object")

    def test_a_run_keeps_objects_apart_and_judges_the_test_part(
        self, write: Callable[..., Path], tmp_path: Path, program: Program
    ) -> None:
        """The whole way: a table with groups and no parts, classes equally often."""
        table = write(lambda row: [row[0], row[1], row[3]], "path,label,object")
        options = ("--set", "split.group_column=object", "--set", "sampling=balanced", "--epochs", 1, "--qat-epochs", 0)
        program("train", table, "--out", tmp_path / "run", *TINY, *options)
        splits = json.loads((tmp_path / "run" / "splits.json").read_text())
        parts = defaultdict(set)
        for part in ("train", "val", "test"):
            for name in splits[part]:
                parts[Path(name).parent.name, int(Path(name).stem) // 2].add(part)
        assert len(parts) == 3 * PER_CLASS // 2
        assert all(len(of_object) == 1 for of_object in parts.values())


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
