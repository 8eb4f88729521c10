"""Photos by a table: their labels, parts and groups, and the lines that are bad."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from linnet_devices.api import LinnetError
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.photos.listing import list_photos, photo_name
from linnet_runtime.preprocess import Preprocess
from networks import CLASSES, PER_CLASS, TINY
from program import Program


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
