"""Each folder of shared/cases/make_folders.py: what the data check finds in it, and whether training takes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from linnet_runtime.perceptual_hash import NEAR
from linnet_train.data_check.findings import Check, check_folder
from program import CASES, DATA, linnet, needs_cases, needs_data, one_line_error

pytestmark = [needs_cases, needs_data]
WHOLE = {"all": 14}
TWICE = {"train": 14, "test": 14}
PARTS = {"train": 8, "val": 3, "test": 3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folders = tmp_path_factory.mktemp("folders")
    subprocess.run([sys.executable, CASES / "make_folders.py", DATA, folders], check=True)
    return folders


def check(folder: Path) -> Check:
    return check_folder(folder, NEAR, lambda done, total: None, lambda done, total: None)


@pytest.mark.parametrize(
    ("name", "classes", "kinds"),
    [
        ("jfif", dict.fromkeys(("glass", "metal", "paper"), WHOLE), {"near_duplicate": 1}),
        ("jpe", dict.fromkeys(("glass", "metal", "paper"), WHOLE), {"near_duplicate": 1}),
        ("valid", dict.fromkeys(("glass", "metal", "paper"), PARTS), {"leak": 1}),
        ("words", dict.fromkeys(("glass", "metal", "paper"), PARTS), {"leak": 1}),
        ("macosx", dict.fromkeys(("glass", "metal", "paper"), PARTS), {"leak": 1, "ignored": 1}),
        ("unicode", dict.fromkeys(("café", "metal"), TWICE), {"leak": 28}),
        ("latin1", {"glass": {"all": 15}, "metal": WHOLE, "paper": WHOLE}, {"duplicate": 1, "near_duplicate": 1}),
    ],
)
def test_a_folder_is_read_whole_and_its_faults_are_found(
    name: str, classes: dict[str, dict[str, int]], kinds: dict[str, int], folders: Path
) -> None:
    """Two photos of paper are nearly the same, in two parts where there are parts."""
    found = check(folders / name)
    counts = {label: {part: n for part, n in parts.items() if n} for label, parts in found.classes.items()}
    assert counts == classes
    assert Counter(finding.kind for finding in found.findings if finding.kind != "tiny_class") == kinds


def test_copies_that_were_turned_are_found_over_the_parts(folders: Path) -> None:
    """All 42 families; two of them are one, as their photos are nearly the same."""
    found = check(folders / "turned")
    leaks = [finding.files for finding in found.findings if finding.kind == "leak"]
    assert sorted(map(len, leaks)) == [4] * 40 + [8]
    assert {name for files in leaks for name in files} == found.paths.keys()
    assert found.group_pattern


@pytest.mark.parametrize("suffix", [".heic", ".jfif"])
def test_a_class_that_loses_all_its_photos_is_an_error_before_training(
    suffix: str, folders: Path, tmp_path: Path
) -> None:
    """Its photos are in a format that is not read, or are none."""
    shutil.copytree(folders / "jfif", tmp_path / "photos")
    for photo in (tmp_path / "photos" / "paper").iterdir():
        photo.unlink()
        photo.with_suffix(suffix).write_bytes(b"nothing")
    done = linnet("train", tmp_path / "photos", "--out", tmp_path / "run", "--weights", "none", status=1)
    assert one_line_error(done).startswith(f"{tmp_path / 'photos' / 'paper'}: got no photo that can be read: paper/")
    assert not (tmp_path / "run").exists()
