"""The data check: each kind of finding on a small folder that has it, and the table, the page and the JSON."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from linnet_runtime.perceptual_hash import BITS, NEAR
from linnet_train.data_check.alike import Pairs, near_pairs, near_sets
from linnet_train.data_check.findings import KINDS, Check, Finding, check_folder
from program import DATA, needs_data, one_line_error

Picture = NDArray[np.uint8]
Program = Callable[..., CompletedProcess[str]]
PER_CLASS = 20
ORIENTATION = 0x0112  # EXIF's tag


def picture(seed: int, height: int = 72, width: int = 96) -> Picture:
    """BGR blotches: a picture like no other, that survives JPEG as a photo does."""
    blotches = np.random.default_rng(seed).integers(40, 216, (9, 12, 3), dtype=np.uint8)
    return cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)


def write(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16], *, quality: int = 95) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


def fill(folder: Path, first_seed: int, count: int = PER_CLASS) -> None:
    for i in range(count):
        write(folder / f"{i:02d}.jpg", picture(first_seed + i))


def check(folder: Path, near: int = NEAR) -> Check:
    return check_folder(folder, near, lambda done, total: None, lambda done, total: None)


def found(folder: Path, kind: str) -> list[Finding]:
    return [finding for finding in check(folder).findings if finding.kind == kind]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """DATA with nothing wrong: 20 photos in each of two classes."""
    for i, label in enumerate(("nut", "washer")):
        fill(tmp_path / "photos" / label, 100 * i)
    return tmp_path / "photos"


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """DATA/{train,val,test} with nothing wrong."""
    for i, part in enumerate(("train", "val", "test")):
        for j, label in enumerate(("nut", "washer")):
            fill(tmp_path / "divided" / part / label, 1000 * i + 100 * j)
    return tmp_path / "divided"


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


class TestDuplicates:
    def test_the_same_file_twice_is_an_exact_duplicate(self, photos: Path) -> None:
        shutil.copy(photos / "nut" / "03.jpg", photos / "nut" / "copy.jpg")
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level) == ("duplicate", "warning")
        assert finding.files == ("nut/03.jpg", "nut/copy.jpg")

    @pytest.mark.parametrize(
        "change",
        [
            lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR),
            lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            lambda p: cv2.resize(p, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
            lambda p: cv2.convertScaleAbs(p, alpha=1.05, beta=8),
            lambda p: np.clip(p + np.random.default_rng(0).normal(0, 5, p.shape), 0, 255).astype(np.uint8),
        ],
        ids=["encoded-again", "half-size", "three-times-size", "brighter", "noisy"],
    )
    def test_a_changed_copy_is_a_near_duplicate(self, photos: Path, change: Callable[[Picture], Picture]) -> None:
        write(photos / "nut" / "copy.png", change(picture(3)))
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level) == ("near_duplicate", "warning")
        assert finding.files == ("nut/03.jpg", "nut/copy.png")

    @pytest.mark.parametrize(
        "change",
        [
            lambda p: p[..., ::-1].copy(),  # red for blue: another part, in the same place
            lambda p: p // 4,  # brightness is another too: a hash would not know it
            lambda p: np.roll(p, 24, axis=1),
        ],
        ids=["other-color", "much-darker", "shifted"],
    )
    def test_a_picture_that_differs_is_none(self, photos: Path, change: Callable[[Picture], Picture]) -> None:
        write(photos / "nut" / "other.png", change(picture(3)))
        assert check(photos).findings == ()

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("turn", range(4))
    def test_a_copy_in_each_other_orientation_is_found(self, turn: int, mirrored: bool, photos: Path) -> None:
        if turn == 0 and not mirrored:
            pytest.skip("the picture itself")
        copy = np.rot90(picture(3), turn)
        write(photos / "nut" / "copy.jpg", np.ascontiguousarray(copy[:, ::-1] if mirrored else copy), quality=60)
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level) == ("turned_duplicate", "warning")
        assert finding.files == ("nut/03.jpg", "nut/copy.jpg")
        assert finding.detail.startswith("turned or mirrored, ")

    def test_a_mirrored_copy_with_its_colors_exchanged_is_none(self, photos: Path) -> None:
        write(photos / "nut" / "other.png", np.ascontiguousarray(picture(3)[:, ::-1, ::-1]))
        assert check(photos).findings == ()

    def test_three_copies_are_one_set(self, photos: Path) -> None:
        for quality in (60, 80):
            write(photos / "nut" / f"copy{quality}.jpg", picture(3), quality=quality)
        (finding,) = check(photos).findings
        assert finding.files == ("nut/03.jpg", "nut/copy60.jpg", "nut/copy80.jpg")
        assert "up to" in finding.detail

    def test_near_is_the_number_of_bits(self, photos: Path) -> None:
        write(photos / "nut" / "copy.jpg", picture(3), quality=30)
        (finding,) = check(photos).findings
        bits = int(finding.detail.split()[0])
        assert bits > 0, "or this test shows nothing"
        assert check(photos, near=bits - 1).findings == ()
        assert check(photos, near=bits).findings == (finding,)

    def test_pairs_are_those_of_a_plain_search_across_all_tiles(self) -> None:
        rng = np.random.default_rng(0)
        hashes = rng.integers(0, 256, (1200, 8, 32), dtype=np.uint8)
        hashes[..., -1] &= 0xFE  # the last of 256 bits is none of the hash's
        for i in range(0, 1200, 7):  # copies with up to 48 bits changed
            bits = np.unpackbits(hashes[i, 0])
            bits[rng.choice(BITS, rng.integers(0, 49), replace=False)] ^= 1
            hashes[(i * 611) % 1200, i % 8] = np.packbits(bits)
        colors = np.zeros((1200, 8, 8, 3), dtype=np.uint8)
        rows: list[int] = []
        got = {
            (int(i), int(j)): (int(bits), batch.turned)
            for batch in near_pairs(hashes, colors, 32, rows.append)
            for i, j, bits in zip(batch.i, batch.j, batch.bits, strict=True)
        }
        plain: dict[tuple[int, int], tuple[int, bool]] = {}
        for turn in range(8):
            distances = np.bitwise_count(hashes[:, None, 0] ^ hashes[None, :, turn]).sum(axis=2)
            for i, j in np.argwhere(distances <= 32).tolist():
                if i < j:
                    plain.setdefault((i, j), (int(distances[i, j]), turn > 0))
        assert len({pair for pair, (_, turned) in plain.items() if turned}) > 30
        assert len({pair for pair, (_, turned) in plain.items() if not turned}) > 5
        assert got == plain
        assert rows[-1] == 1200

    def test_sets_join_whatever_the_order_of_the_pairs(self) -> None:
        pairs = [(4, 5), (2, 3), (0, 1), (3, 5), (1, 4)]
        batches = [Pairs(*(np.array([value]) for value in (i, j, 7)), turned=i == 0) for i, j in pairs]
        (linked,) = near_sets(batches, ["a"] * 7, [None] * 7)
        assert linked.turned
        assert (linked.members, linked.bits, linked.conflicting, linked.leaking) == ([0, 1, 2, 3, 4, 5], 7, [], [])


class TestConflictsAndLeaks:
    @pytest.mark.parametrize("quality", [None, 50], ids=["same-file", "encoded-again"])
    def test_one_picture_in_two_classes_is_an_error(self, photos: Path, quality: int | None) -> None:
        copy = photos / "washer" / "x.jpg"
        if quality is None:
            shutil.copy(photos / "nut" / "03.jpg", copy)
        else:
            write(copy, picture(3), quality=quality)
        conflict, duplicate = check(photos).findings
        assert (conflict.kind, conflict.level) == ("conflict", "error")
        assert conflict.files == duplicate.files == ("nut/03.jpg", "washer/x.jpg")
        assert "nut and washer" in conflict.detail
        assert duplicate.kind == ("duplicate" if quality is None else "near_duplicate")

    @pytest.mark.parametrize("quality", [None, 50], ids=["same-file", "encoded-again"])
    def test_one_picture_in_two_parts_is_an_error(self, divided: Path, quality: int | None) -> None:
        copy = divided / "test" / "nut" / "x.jpg"
        if quality is None:
            shutil.copy(divided / "train" / "nut" / "03.jpg", copy)
        else:
            write(copy, picture(3), quality=quality)
        leak, _ = check(divided).findings
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


class TestCommand:
    def test_a_sound_folder_exits_with_0(self, program: Program, photos: Path) -> None:
        done = program("data", "check", photos)
        assert "40 photos of 2 classes" in done.stdout
        assert "nothing wrong" in done.stdout
        assert done.stderr == ""

    def test_an_error_exits_with_1_and_one_line(self, program: Program, photos: Path) -> None:
        (photos / "nut" / "x.png").write_bytes(cv2.imencode(".png", picture(0))[1].tobytes()[:500])
        done = program("data", "check", photos, status=1)
        assert "nut/x.png" in done.stdout
        line = one_line_error(done)
        assert "1 error" in line
        assert "--page" in line

    def test_a_warning_exits_with_0_and_with_1_when_strict(self, program: Program, photos: Path) -> None:
        shutil.copy(photos / "nut" / "03.jpg", photos / "nut" / "copy.jpg")
        assert "1 warning" in program("data", "check", photos).stdout
        assert "1 warning" in one_line_error(program("data", "check", photos, "--strict", status=1))

    def test_json_has_the_same_keys_whatever_is_found(self, program: Program, photos: Path) -> None:
        keys = {"photos", "classes", "errors", "warnings", "notes", "findings", "group_pattern", "seconds", "passed"}
        sound = json.loads(program("data", "check", photos, "--json").stdout)
        assert set(sound) == keys
        assert (sound["passed"], sound["findings"]) == (True, [])
        (photos / "nut" / "x.jpg").write_bytes(b"")
        report = json.loads(program("data", "check", photos, "--json", status=1).stdout)
        assert set(report) == keys
        assert (report["passed"], report["errors"], report["photos"]) == (False, 1, 2 * PER_CLASS + 1)
        assert report["classes"]["nut"] == {"all": PER_CLASS}
        (finding,) = report["findings"]
        assert finding == {
            "kind": "undecodable",
            "level": "error",
            "detail": "an empty file",
            "files": ["nut/x.jpg"],
        }
        assert finding["kind"] in KINDS

    def test_a_long_list_is_cut_in_the_table_and_whole_in_json(self, program: Program, photos: Path) -> None:
        for i in range(12):
            (photos / "nut" / f"bad{i:02d}.jpg").write_bytes(b"")
        table = program("data", "check", photos, status=1).stdout
        assert table.count("an empty file") < 12
        assert "more: --json" in table
        assert len(json.loads(program("data", "check", photos, "--json", status=1).stdout)["findings"]) == 12

    @pytest.mark.parametrize("arguments", [("nowhere",), ("empty",)])
    def test_no_photos_are_one_clear_line(self, program: Program, tmp_path: Path, arguments: tuple[str]) -> None:
        (tmp_path / "empty").mkdir()
        one_line_error(program("data", "check", tmp_path / arguments[0], status=1))

    def test_it_imports_neither_keras_nor_an_engine(self) -> None:
        code = "import sys, linnet_train.commands.data; print(*{name.partition('.')[0] for name in sys.modules})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        heavy = {"keras", "tensorflow", "jax", "sklearn", "matplotlib", "onnx", "onnxruntime", "openvino"}
        assert not heavy & set(done.stdout.split())


class TestPage:
    def page(self, program: Program, photos: Path, status: int = 0) -> str:
        page = photos.parent / "new" / "check.html"
        program("data", "check", photos, "--page", page, status=status)
        return page.read_text()

    def test_it_shows_both_pictures_of_a_pair(self, program: Program, photos: Path) -> None:
        write(photos / "nut" / "copy.jpg", picture(3), quality=50)
        page = self.page(program, photos)
        assert "nut/03.jpg" in page
        assert "nut/copy.jpg" in page
        assert page.count('<img src="data:image/jpeg;base64,') == 2

    def test_it_needs_no_other_file(self, program: Program, photos: Path) -> None:
        shutil.copy(photos / "nut" / "03.jpg", photos / "washer" / "copy.jpg")
        (photos / "nut" / "x.jpg").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        page, pictures = re.subn(r'src="data:image/[^"]*"', "", self.page(program, photos, status=1))
        assert pictures == 4, "of a conflict and of a duplicate"
        assert not re.search(r"https?:|//[a-z]|<link|<script|@import|url\(|src=|href=", page)

    def test_a_damaged_photo_is_shown_and_libjpeg_writes_no_line(self, program: Program, photos: Path) -> None:
        jpeg = (photos / "nut" / "03.jpg").read_bytes()
        (photos / "nut" / "stray.jpg").write_bytes(jpeg[:-2] + b"\1\2\3" + jpeg[-2:])  # "3 extraneous bytes"
        page = photos.parent / "check.html"
        done = program("data", "check", photos, "--page", page)
        assert page.read_text().count('<img src="data:image/jpeg;base64,') == 2
        assert "Corrupt JPEG" not in done.stderr

    def test_html_in_names_is_text(self, program: Program, tmp_path: Path) -> None:
        photos = tmp_path / "<script>photos"
        fill(photos / "<img src=x onerror=alert(1)>", 0)
        fill(photos / "washer", 100)
        shutil.copy(photos / "washer" / "03.jpg", photos / "washer" / '"><b>copy.jpg')
        page = self.page(program, photos)
        assert "<script" not in page
        assert "<img src=x" not in page
        assert "<b>copy" not in page
        assert "&lt;b&gt;copy.jpg" in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page

    def test_square_brackets_in_names_are_text_in_the_table(self, program: Program, photos: Path) -> None:
        shutil.copy(photos / "nut" / "03.jpg", photos / "nut" / "[red]copy[1].jpg")
        assert "nut/[red]copy[1].jpg" in program("data", "check", photos).stdout

    def test_a_name_that_is_not_utf8_is_shown(self, program: Program, photos: Path) -> None:
        try:
            shutil.copy(photos / "nut" / "03.jpg", os.fsdecode(os.fsencode(photos / "nut") + b"/caf\xe9.jpg"))
        except OSError:
            pytest.skip("this file system has UTF-8 names only")
        page = self.page(program, photos)
        assert page.count(r"nut/caf\xe9.jpg") > 1
        assert page.count('<img src="data:image/jpeg;base64,') == 2, "it is the copy of another, and both are shown"
        assert r"caf\\xe9.jpg" in program("data", "check", photos, "--json").stdout

    def test_a_page_on_a_folder_is_one_clear_line(self, program: Program, photos: Path) -> None:
        assert "is a directory" in one_line_error(program("data", "check", photos, "--page", photos, status=2))


def augmented(folder: Path, parts: tuple[str, ...]) -> Path:
    """Two classes of twelve photos, each in four orientations as _TURN_NUMBER.jpeg, spread over the parts."""
    for label, first in (("nut", 0), ("washer", 100)):
        for i in range(12):
            for turn in range(4):
                part = parts[(i + turn) % len(parts)]
                name = f"_{turn}_{first + 1000 + i}.jpeg"
                write(folder / part / label / name, np.ascontiguousarray(np.rot90(picture(first + i), turn)))
    return folder


class TestFamilies:
    def test_every_family_of_turned_copies_in_two_parts_is_a_leak(self, tmp_path: Path) -> None:
        folder = augmented(tmp_path / "data", ("train", "train", "val", "test"))
        leaks = found(folder, "leak")
        assert len(leaks) == 24
        assert all(len({name[-9:] for name in leak.files}) == 1 and len(leak.files) == 4 for leak in leaks)
        (by_name,) = found(folder, "name_family")
        assert by_name.detail == "24 families, such as _0_1000.jpeg and _1_1000.jpeg; 24 of them in two parts or more"

    def test_the_proposed_line_trains_with_whole_families_in_each_part(self, tmp_path: Path, program: Program) -> None:
        folder = augmented(tmp_path / "data", (".",))
        lines = program("data", "check", folder).stdout.splitlines()
        (line,) = [line.strip() for line in lines if "linnet train" in line]
        arguments = shlex.split(line.replace("RUN", str(tmp_path / "run")))[1:]
        size = ("--model", "lenet5", "--weights", "none", "--epochs", "1", "--qat-epochs", "0", "--batch-size", "8")
        program(*arguments, *size)
        splits = json.loads((tmp_path / "run" / "splits.json").read_bytes())
        numbers = [{name[-9:] for name in splits[part]} for part in ("train", "val", "test")]
        assert sum(len(of_part) for of_part in numbers) == len(set.union(*numbers)) == 24

    def test_the_page_and_the_json_have_the_pattern_too(self, tmp_path: Path, program: Program) -> None:
        folder = augmented(tmp_path / "data", (".",))
        report = json.loads(program("data", "check", folder, "--json", "--page", tmp_path / "page.html").stdout)
        assert report["group_pattern"]
        assert f"split.group_pattern={report['group_pattern']}" in html.unescape((tmp_path / "page.html").read_text())


@needs_data
class TestRealPhotos:
    def test_trashnet_has_no_turned_copies_and_no_families(self) -> None:
        checked = check(DATA / "photos" / "trash")
        kinds = Counter(finding.kind for finding in checked.findings)
        assert kinds == {"near_duplicate": 26, "conflict": 3, "duplicate": 3}
        assert checked.group_pattern is None

    def test_trashnet_has_three_pictures_in_two_classes(self) -> None:
        conflicts = {finding.files for finding in found(DATA / "photos" / "trash", "conflict")}
        assert conflicts == {
            ("glass/glass115.jpg", "metal/metal91.jpg"),
            ("glass/glass176.jpg", "plastic/plastic152.jpg"),
            ("glass/glass389.jpg", "plastic/plastic332.jpg"),
        }

    def test_hands_of_one_sign_are_no_near_duplicates(self) -> None:
        findings = check(DATA / "photos" / "sign_digits").findings
        assert [finding.kind for finding in findings] == ["odd_size", "exif_rotation"]
        assert findings[0].files == findings[1].files
        assert len(findings[0].files) == 3

    def test_a_photo_in_every_exif_orientation_is_one_picture(self, tmp_path: Path) -> None:
        shutil.copytree(DATA / "exif", tmp_path / "landscape", ignore=shutil.ignore_patterns("[!L]*"))
        fill(tmp_path / "nut", 0)
        findings = {finding.kind: finding for finding in check(tmp_path).findings}
        assert len(findings["near_duplicate"].files) == 9
        assert len(findings["exif_rotation"].files) == 7, "0 means nothing and 1 upright"
