"""Folders and tables of photos as people have them: names, parts, files that are not photos, and what is reported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from linnet_devices.api import LinnetError
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.photos.listing import find_photos, list_photos
from linnet_runtime.preprocess import Preprocess
from networks import CLASSES, TINY
from program import Program, one_line_error

QUICK = (*TINY, "--epochs", 1, "--qat-epochs", 0)


@pytest.fixture
def photos(easy_photos: Path, tmp_path: Path) -> Path:
    """A copy of the easy photos: 20 in each of blue, green and red."""
    return Path(shutil.copytree(easy_photos, tmp_path / "photos"))


def divide(photos: Path, **shares: int) -> Path:
    """The first photos of each class in PART/CLASS, so many in each part."""
    folder = photos.with_name("divided")
    for label in CLASSES:
        files = sorted((photos / label).iterdir())
        for part, count in shares.items():
            (folder / part / label).mkdir(parents=True)
            for _ in range(count):
                shutil.copy(files.pop(0), folder / part / label)
    return folder


def not_utf8(folder: Path, name: bytes) -> Path:
    """A path with that name; the test is skipped where the file system has none."""
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    try:
        path.touch()
        path.unlink()
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    return path


class TestParts:
    @pytest.mark.parametrize(
        "names",
        [
            ("train", "valid", "test"),
            ("training", "validation", "testing"),
            ("Train", "Val", "Test"),
            ("TRAIN", "VAL", "TEST"),
        ],
    )
    def test_the_names_that_people_give_to_parts_are_understood(self, names: tuple[str, ...], photos: Path) -> None:
        folder = divide(photos, **dict(zip(names, (8, 3, 2), strict=True)))
        assert Counter(photo.part for photo in list_photos(folder)) == {"train": 24, "val": 9, "test": 6}

    def test_two_folders_of_one_part_are_refused_by_name(self, photos: Path) -> None:
        folder = divide(photos, train=8, val=3, validation=3)
        with pytest.raises(LinnetError, match="got the folders val and validation, expected one for the part val"):
            list_photos(folder)

    def test_a_folder_beside_the_parts_is_no_class(self, photos: Path) -> None:
        folder = divide(photos, train=8, test=3)
        shutil.copytree(photos / "red", folder / "unsorted")
        found = find_photos(folder)
        assert {photo.part for photo in found.photos} == {"train", "test"}
        assert Counter(file.reason for file in found.skipped) == {"in no part's folder": 20}

    def test_a_class_may_be_called_test(self, photos: Path) -> None:
        (photos / "red").rename(photos / "test")
        assert {(photo.label, photo.part) for photo in list_photos(photos)} == {
            ("blue", None),
            ("green", None),
            ("test", None),
        }

    def test_a_table_may_use_these_names_too(self, photos: Path) -> None:
        table = photos.with_name("table.csv")
        rows = [
            f"photos/{label}/0{i}.jpg,{label},{part}"
            for label in CLASSES
            for i, part in enumerate(("Training", "valid"))
        ]
        table.write_text("\n".join(["path,label,part", *rows]))
        assert Counter(photo.part for photo in list_photos(table)) == {"train": 3, "val": 3}


class TestSystemFolders:
    @pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", ".thumbnails", ".git"])
    @pytest.mark.parametrize("place", [".", "train", "train/blue"])
    def test_they_are_no_classes_and_their_pictures_are_counted(self, name: str, place: str, photos: Path) -> None:
        folder = divide(photos, train=8, test=3)
        (folder / place / name / "blue").mkdir(parents=True)
        for i in range(3):
            shutil.copy(photos / "blue" / "00.jpg", folder / place / name / "blue" / f"{i}.jpg")
        found = find_photos(folder)
        assert {photo.label for photo in found.photos} == set(CLASSES)
        assert len(found.photos) == 33
        assert [file.reason for file in found.skipped] == ["in a hidden or system folder"] * 3


class TestUnicode:
    NFC, NFD = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))

    def test_two_spellings_of_a_class_in_two_parts_are_one_class(self, photos: Path) -> None:
        folder = divide(photos, train=8, test=3)
        (folder / "train" / "red").rename(folder / "train" / self.NFC)
        (folder / "test" / "red").rename(folder / "test" / self.NFD)
        assert Counter(photo.label for photo in list_photos(folder)) == {"blue": 11, "green": 11, self.NFC: 11}

    def test_two_spellings_side_by_side_are_one_class(self, photos: Path) -> None:
        (photos / "green").rename(photos / self.NFC)
        (photos / "red").rename(photos / self.NFD)
        if len(list(photos.iterdir())) < 3:
            pytest.skip("this file system knows one spelling only")
        assert Counter(photo.label for photo in list_photos(photos)) == {"blue": 20, self.NFC: 40}

    def test_two_spellings_in_a_table_are_one_class(self, photos: Path) -> None:
        table = photos.with_name("table.csv")
        table.write_text(f"path,label\nphotos/red/00.jpg,{self.NFC}\nphotos/red/01.jpg,{self.NFD}\n", encoding="utf-8")
        assert {photo.label for photo in list_photos(table)} == {self.NFC}

    def test_a_model_knows_its_class_in_either_spelling(self, photos: Path) -> None:
        (photos / "red").rename(photos / self.NFC)
        loaded = load_labelled_photos(photos, ("blue", "green", self.NFD), Preprocess(height=8, width=8))
        assert Counter(loaded.labels.tolist()) == {0: 20, 1: 20, 2: 20}

    def test_a_file_name_that_is_not_utf8_is_read_and_shown_with_its_bytes(
        self, photos: Path, tmp_path: Path, program: Program
    ) -> None:
        shutil.move(photos / "red" / "00.jpg", not_utf8(photos / "red", b"Sch\xe4den.jpg"))
        program("train", photos, "--out", tmp_path / "run", *QUICK)
        splits = json.loads((tmp_path / "run" / "splits.json").read_text())
        assert r"red/Sch\xe4den.jpg" in [name for part in ("train", "val", "test") for name in splits[part]]
        assert "60 photos of 3 classes" in program("data", "check", photos).stdout

    @pytest.mark.parametrize("command", [("train", "--out", "run", *TINY), ("data", "check")])
    def test_a_class_folder_that_is_not_utf8_is_one_line(
        self, command: tuple[object, ...], photos: Path, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (photos / "red").rename(not_utf8(photos, b"gr\xfcn"))
        monkeypatch.chdir(photos.parent)
        line = one_line_error(program(*command, photos, status=1))
        assert r"photos/gr\xfcn: got a folder name that is not UTF-8" in line
        assert "Fix: rename the folder" in line

    @pytest.mark.parametrize("place", ["DATA", "RUN"])
    def test_a_path_that_is_not_utf8_is_one_line_in_train(self, place: str, photos: Path, program: Program) -> None:
        bad = not_utf8(photos.parent, b"caf\xe9")
        if place == "DATA":
            photos = photos.rename(bad)
        out = bad if place == "RUN" else photos.with_name("run")
        line = one_line_error(program("train", photos, "--out", out, *QUICK, status=1))
        assert r"caf\xe9: got a path that is not UTF-8" in line
        assert not out.exists()

    def test_a_folder_whose_path_is_not_utf8_can_be_checked(self, photos: Path, program: Program) -> None:
        photos = photos.rename(not_utf8(photos.parent, b"caf\xe9"))
        page = photos.with_name("page.html")
        assert "60 photos of 3 classes" in program("data", "check", photos, "--page", page).stdout
        assert r"caf\xe9" in page.read_text()


class TestFilesThatAreNotRead:
    def test_training_counts_and_names_them(self, photos: Path, tmp_path: Path, program: Program) -> None:
        for i in range(7):
            (photos / "red" / f"IMG_{i}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
        (photos / "blue" / "notes.txt").write_text("blurred")
        done = program("train", photos, "--out", tmp_path / "run", *QUICK)
        assert (
            "8 files not read: .txt is not read (1): blue/notes.txt; .heic is not read (7): red/IMG_0.HEIC, "
            "red/IMG_1.HEIC, red/IMG_2.HEIC, red/IMG_3.HEIC and 3 more" in done.stderr
        )
        assert json.loads((tmp_path / "run" / "metrics.json").read_bytes())["not_read"] == 8
        report = json.loads((tmp_path / "run" / "report.json").read_bytes())
        assert report["not_read"]["blue/notes.txt"] == ".txt is not read"
        assert "red/IMG_6.HEIC" in (tmp_path / "run" / "report.html").read_text()

    @pytest.mark.parametrize("parts", [False, True])
    def test_a_class_of_such_files_alone_is_an_error(
        self, parts: bool, photos: Path, tmp_path: Path, program: Program
    ) -> None:
        folder = divide(photos, train=8, test=5) if parts else photos
        red = folder / "train" / "red" if parts else folder / "red"
        for path in red.iterdir():
            path.rename(path.with_suffix(".heic"))
        line = one_line_error(program("train", folder, "--out", tmp_path / "run", *QUICK, status=1))
        assert line.startswith(f"{red}: got no photo that can be read: ")
        assert "red/00.heic (.heic is not read)" in line
        assert f"and {len(list(red.iterdir())) - 4} more, expected photos of the class red. Fix: " in line
        assert not (tmp_path / "run").exists()

    def test_a_class_that_loses_all_its_photos_to_damage_is_an_error(
        self, photos: Path, tmp_path: Path, program: Program
    ) -> None:
        for path in (photos / "red").iterdir():
            path.write_bytes(b"")
        line = one_line_error(program("train", photos, "--out", tmp_path / "run", *QUICK, status=1))
        assert line.startswith(f"{photos / 'red'}: got no photo that can be read: red/00.jpg (an empty file), ")
        assert not (tmp_path / "run").exists()

    def test_an_empty_class_folder_is_an_error(self, photos: Path, tmp_path: Path, program: Program) -> None:
        (photos / "yellow").mkdir()
        line = one_line_error(program("train", photos, "--out", tmp_path / "run", *QUICK, status=1))
        assert line.startswith(f"{photos / 'yellow'}: got an empty folder, expected photos of the class yellow")

    def test_a_broken_link_is_named(self, photos: Path) -> None:
        (photos / "red" / "gone.jpg").symlink_to(photos / "nowhere.jpg")
        assert [(file.path.name, file.reason) for file in find_photos(photos).skipped] == [
            ("gone.jpg", "not a regular file")
        ]

    def test_judging_a_model_names_them(self, photos: Path, caplog: pytest.LogCaptureFixture) -> None:
        (photos / "red" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
        load_labelled_photos(photos, tuple(sorted(CLASSES)), Preprocess(height=8, width=8))
        assert caplog.messages == ["1 file not read: .heic is not read (1): red/IMG_1.HEIC"]

    @pytest.mark.parametrize("inner", ["photos", "all/photos"])
    def test_a_folder_one_level_too_high_is_told_which_to_give(self, inner: str, photos: Path) -> None:
        outer = photos.with_name("outer")
        shutil.copytree(photos, outer / inner)
        with pytest.raises(LinnetError, match="got no photos in folders of classes") as error:
            list_photos(outer)
        assert (error.value.fix or "").endswith(str(outer / inner))


class TestTables:
    @pytest.mark.parametrize(("name", "separator"), [("t.tsv", "\t"), ("t.csv", "\t"), ("t.csv", ";"), ("t.csv", ",")])
    def test_columns_may_be_separated_by_tabs_semicolons_or_commas(
        self, name: str, separator: str, photos: Path
    ) -> None:
        table = photos.with_name(name)
        rows = [("path", "remark", "label")] + [
            (f"photos/{c}/00.jpg", "a, b; c" if separator == "\t" else "", c) for c in CLASSES
        ]
        table.write_text("".join(separator.join(row) + "\r\n" for row in rows), encoding="utf-8-sig")
        assert [(photo.path.name, photo.label) for photo in list_photos(table)] == [
            ("00.jpg", c) for c in sorted(CLASSES)
        ]

    def test_a_table_can_be_checked(self, photos: Path, program: Program) -> None:
        table = photos.with_name("table.tsv")
        rows = [f"photos/{label}/{i:02}.jpg\t{label}" for label in CLASSES for i in range(20)]
        table.write_text("\n".join(["path\tlabel", *rows]))
        assert "60 photos of 3 classes" in program("data", "check", table).stdout


NO_TEMPORARY_FOLDER = """
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/nowhere"]  # a test that runs as root cannot make /tmp read-only
from linnet_runtime.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_check_needs_no_folder_for_temporary_files_and_training_names_what_is_missing(photos: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", NO_TEMPORARY_FOLDER, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    checked = run("data", "check", photos, "--page", photos.with_name("page.html"))
    assert checked.returncode == 0, checked.stderr
    trained = run("train", photos, "--out", photos.with_name("run"))
    assert trained.returncode == 1
    assert one_line_error(trained) == (
        "temporary files: got no folder that can be written, expected one. "
        "Fix: set TMPDIR to a folder that can be written"
    )
