"""``linnet data check``: the table, the page and the JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from checked_photos import PER_CLASS, fill, picture, write
from linnet_train.data_check.findings import KINDS
from program import Program, one_line_error


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
        assert pictures == 2, "of a conflict"
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
