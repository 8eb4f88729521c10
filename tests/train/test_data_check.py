"""The data check: each kind of finding on a small folder that has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from checked_photos import ORIENTATION, PER_CLASS, check, fill, found, picture, write


class TestClean:
    def test_a_sound_folder_has_no_findings(self, photos: Path) -> None:
        result = check(photos)
        assert result.findings == ()
        assert result.photos == 2 * PER_CLASS
        assert result.classes == {"nut": {"all": PER_CLASS}, "washer": {"all": PER_CLASS}}

    def test_a_sound_divided_folder_has_no_findings(self, divided: Path) -> None:
        result = check(divided)
        assert result.findings == ()
        assert result.classes["nut"] == {"train": PER_CLASS, "val": PER_CLASS, "test": PER_CLASS}


class TestUndecodable:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n", "git-LFS pointer"),
            (b"\n<!DOCTYPE html>\n<html><title>404</title></html>", "HTML"),
            (b"\xef\xbb\xbf<html lang='en'>", "HTML"),  # with a byte order mark
            (b"", "empty file"),
            (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
            (b"not a picture at all", "20 bytes that start with"),
        ],
        ids=["lfs", "html", "html-bom", "empty", "heic", "text"],
    )
    def test_what_stands_in_place_of_a_photo_is_named(self, photos: Path, data: bytes, reason: str) -> None:
        (photos / "nut" / "x.jpg").write_bytes(data)
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level, finding.files) == ("undecodable", "error", ("nut/x.jpg",))
        assert reason in finding.detail

    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
    def test_a_photo_cut_short_is_found(self, photos: Path, suffix: str) -> None:
        path = write(photos / "nut" / f"x{suffix}", picture(7000))
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        (finding,) = check(photos).findings
        assert finding.kind == "undecodable"
        assert "cut short" in finding.detail

    def test_a_folder_without_one_readable_photo_is_reported_too(self, tmp_path: Path) -> None:
        for label in ("nut", "washer"):
            (tmp_path / label).mkdir()
            (tmp_path / label / "x.jpg").write_bytes(b"")
        kinds = [finding.kind for finding in check(tmp_path).findings]
        assert kinds == ["undecodable"] * 2 + ["missing_class"] * 2


class TestConflictsAndLeaks:
    @pytest.mark.parametrize("quality", [None, 50], ids=["same-file", "encoded-again"])
    def test_one_picture_in_two_classes_is_an_error(self, photos: Path, quality: int | None) -> None:
        copy = photos / "washer" / "x.jpg"
        if quality is None:
            shutil.copy(photos / "nut" / "03.jpg", copy)
        else:
            write(copy, picture(3), quality=quality)
        (conflict,) = check(photos).findings
        assert (conflict.kind, conflict.level) == ("conflict", "error")
        assert conflict.files == ("nut/03.jpg", "washer/x.jpg")
        assert "nut and washer" in conflict.detail
        assert ("the same file" in conflict.detail) == (quality is None)

    @pytest.mark.parametrize("quality", [None, 50], ids=["same-file", "encoded-again"])
    def test_one_picture_in_two_parts_is_an_error(self, divided: Path, quality: int | None) -> None:
        copy = divided / "test" / "nut" / "x.jpg"
        if quality is None:
            shutil.copy(divided / "train" / "nut" / "03.jpg", copy)
        else:
            write(copy, picture(3), quality=quality)
        (leak,) = check(divided).findings
        assert (leak.kind, leak.level) == ("leak", "error")
        assert set(leak.files) == {"test/nut/x.jpg", "train/nut/03.jpg"}
        assert "train and test" in leak.detail

    def test_a_duplicate_within_a_part_is_no_leak(self, divided: Path) -> None:
        shutil.copy(divided / "train" / "nut" / "03.jpg", divided / "train" / "nut" / "copy.jpg")
        assert [finding.kind for finding in check(divided).findings] == ["duplicate"]


class TestClasses:
    def test_a_class_missing_from_training_is_an_error_and_from_test_a_warning(self, divided: Path) -> None:
        shutil.rmtree(divided / "train" / "nut")
        shutil.rmtree(divided / "test" / "washer")
        findings = check(divided).findings
        assert {(f.kind, f.level, f.detail) for f in findings} == {
            ("missing_class", "error", "nut: no photo in train"),
            ("missing_class", "warning", "washer: no photo in test"),
        }

    def test_an_empty_folder_of_a_class_is_an_error(self, photos: Path) -> None:
        (photos / "bolt").mkdir()
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level, finding.detail) == ("missing_class", "error", "bolt: no photo")

    def test_one_class_alone_is_an_error(self, photos: Path) -> None:
        shutil.rmtree(photos / "nut")
        (finding,) = found(photos, "missing_class")
        assert finding.level == "error"

    def test_train_alone_is_an_error(self, divided: Path) -> None:
        shutil.rmtree(divided / "val")
        shutil.rmtree(divided / "test")
        (finding,) = found(divided, "missing_class")
        assert (finding.level, finding.detail) == ("error", "only train; training needs train, and val or test")

    @pytest.mark.parametrize(("count", "level"), [(4, "error"), (5, "warning"), (19, "warning")])
    def test_a_tiny_class_is_found(self, photos: Path, count: int, level: str) -> None:
        fill(photos / "bolt", 500, count)
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level) == ("tiny_class", level)
        assert finding.detail.startswith(f"bolt: {count} photos")

    def test_a_class_of_less_than_a_tenth_of_the_largest_is_found(self, photos: Path) -> None:
        fill(photos / "nut", 2000, 10 * PER_CLASS + 1)
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level) == ("tiny_class", "warning")
        assert finding.detail.startswith("washer: 20 photos")


class TestSizesAndStorage:
    @pytest.mark.parametrize(
        ("height", "width", "what"),
        [
            (20, 96, "a side below 32 pixels: 96x20"),
            (700, 940, "far larger than the others; most have sides of about 83 pixels: 940x700"),
            (34, 180, "far longer or narrower"),
            (180, 34, "far longer or narrower"),
        ],
    )
    def test_an_odd_size_is_found(self, photos: Path, height: int, width: int, what: str) -> None:
        write(photos / "nut" / "odd.jpg", picture(800, height, width))
        details = [finding.detail for finding in found(photos, "odd_size") if finding.files == ("nut/odd.jpg",)]
        assert any(what in detail for detail in details), details

    def test_lying_and_standing_pictures_are_not_odd(self, photos: Path) -> None:
        write(photos / "nut" / "standing.jpg", picture(800, 96, 72))
        assert check(photos).findings == ()

    def test_sizes_that_vary_throughout_are_not_odd(self, tmp_path: Path) -> None:
        for i in range(2 * PER_CLASS):
            side = round(36 * 2 ** (i / 10))  # 36 to 540
            write(tmp_path / ("nut", "washer")[i % 2] / f"{i}.jpg", picture(i, side, side))
        assert check(tmp_path).findings == ()

    @pytest.mark.parametrize("channels", [1, 3], ids=["one-channel", "three-equal-channels"])
    def test_grey_among_color_is_a_warning(self, photos: Path, channels: int) -> None:
        grey = cv2.cvtColor(picture(800), cv2.COLOR_BGR2GRAY)
        write(photos / "nut" / "grey.jpg", grey if channels == 1 else cv2.merge([grey] * 3))
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level, finding.files) == ("grey", "warning", ("nut/grey.jpg",))
        assert finding.detail == "1 of 41 photos: nut (1)"

    def test_a_folder_that_is_all_grey_gets_a_note(self, photos: Path) -> None:
        for path in photos.rglob("*.jpg"):
            write(path, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level, len(finding.files)) == ("grey", "note", 2 * PER_CLASS)

    @pytest.mark.parametrize("name", ["deep.png", "deep.tiff"])
    def test_sixteen_bits_are_noted(self, photos: Path, name: str) -> None:
        write(photos / "nut" / name, picture(800).astype(np.uint16) * 256)
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level, finding.files) == ("sixteen_bit", "note", (f"nut/{name}",))

    @pytest.mark.parametrize("name", ["clear.png", "clear.webp"])
    def test_alpha_is_noted(self, photos: Path, name: str) -> None:
        clear = np.dstack([picture(800), np.full((72, 96), 128, dtype=np.uint8)])
        write(photos / "nut" / name, clear)
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level, finding.files) == ("alpha", "note", (f"nut/{name}",))

    @pytest.mark.parametrize("name", ["turned.jpg", "turned.png", "turned.webp"])
    @pytest.mark.parametrize(("orientation", "noted"), [(1, False), (3, True), (6, True)])
    def test_exif_rotation_is_noted(self, photos: Path, name: str, orientation: int, noted: bool) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        Image.fromarray(picture(800)[..., ::-1].copy()).save(photos / "nut" / name, exif=exif)
        findings = check(photos).findings
        assert [(f.kind, f.level, f.files) for f in findings] == [("exif_rotation", "note", (f"nut/{name}",))] * noted

    def test_damaged_metadata_of_a_sound_picture_is_no_error(self, photos: Path) -> None:
        Image.fromarray(picture(800)).save(photos / "nut" / "x.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
        Image.fromarray(picture(801)).save(photos / "nut" / "y.jpg", exif=b"Exif\0\0nonsense")
        assert check(photos).findings == ()

    def test_pictures_that_training_does_not_see_are_named(self, photos: Path) -> None:
        shutil.copy(photos / "nut" / "03.jpg", photos / "loose.jpg")
        (photos / "nut" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
        (photos / "nut" / "notes.txt").write_text("not a picture")
        (photos / "nut" / "Thumbs.db").write_bytes(b"what Windows makes")
        shutil.copy(photos / "nut" / "03.jpg", photos / "nut" / "._03.jpg")
        assert {(f.kind, f.level, f.detail, f.files) for f in check(photos).findings} == {
            ("ignored", "warning", "in no class's folder", ("loose.jpg",)),
            ("ignored", "warning", ".heic is not read", ("nut/IMG_1.HEIC",)),
            ("ignored", "warning", ".txt is not read", ("nut/notes.txt",)),
            ("ignored", "note", "a hidden file", ("nut/._03.jpg",)),
        }
