"""Writing a bundle: there is never half of one, and an older one is never lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.small_bundle import LABELS, MODEL, manifest_of, write_small_bundle
from linnet_devices.errors import LinnetError
from linnet_runtime.bundle import Bundle, BundleError, check_file, files_of, open_bundle, write_bundle

# Fills half a bundle, says so, and waits to be killed.
HALF = """
import sys
from pathlib import Path
from linnet_runtime.bundle import write_bundle

def fill(directory):
    (directory / "model.int8.tflite").write_bytes(b"half")
    print("half", flush=True)
    sys.stdin.read()

write_bundle(Path(sys.argv[1]), fill, overwrite=True)
"""


def visible(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if not path.name.startswith(".")}


def assert_whole(bundle: Path, labels: tuple[str, ...]) -> None:
    opened = open_bundle(bundle)
    assert opened.labels == labels
    for file in files_of(opened):
        check_file(file)


@pytest.mark.parametrize("error", [RuntimeError("the converter failed"), KeyboardInterrupt()])
@pytest.mark.parametrize("older", [True, False])
def test_an_error_half_way_leaves_nothing_and_the_older_bundle_whole(
    older: bool, error: BaseException, tmp_path: Path
) -> None:
    path = tmp_path / "parts.linnet"
    if older:
        write_small_bundle(path, labels=("old", "older", "oldest"))

    def fill(directory: Path) -> Bundle:
        manifest_of(directory)
        raise error

    with pytest.raises(type(error)):
        write_bundle(path, fill, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == (["parts.linnet"] if older else [])
    if older:
        assert_whole(path, ("old", "older", "oldest"))


@pytest.mark.parametrize("older", [True, False])
def test_a_kill_half_way_leaves_no_half_bundle_and_the_older_one_whole(older: bool, tmp_path: Path) -> None:
    path = tmp_path / "parts.linnet"
    if older:
        write_small_bundle(path)
    with subprocess.Popen(
        [sys.executable, "-c", HALF, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        writer.kill()
    assert visible(tmp_path) == ({"parts.linnet"} if older else set())
    if older:
        assert_whole(path, LABELS)
    write_small_bundle(path, overwrite=True, labels=("new", "newer", "newest"))  # what the kill left is in nobody's way
    assert_whole(path, ("new", "newer", "newest"))


def test_a_manifest_that_would_not_open_is_not_written(tmp_path: Path) -> None:
    def fill(directory: Path) -> Bundle:
        manifest = manifest_of(directory)
        (directory / MODEL).write_bytes(b"changed after it was described")
        return manifest

    with pytest.raises(BundleError, match=MODEL):
        write_bundle(tmp_path / "parts.linnet", fill, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_overwrite_does_not_take_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(LinnetError, match=r"a directory without bundle\.json"):
        write_small_bundle(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years"


def test_an_existing_bundle_needs_overwrite(small_bundle: Path) -> None:
    with pytest.raises(LinnetError, match=r"small\.linnet: got it exists, expected a new name\. Fix: --overwrite"):
        write_small_bundle(small_bundle, labels=("new", "newer", "newest"))
    assert_whole(small_bundle, LABELS)
    write_small_bundle(small_bundle, overwrite=True, labels=("new", "newer", "newest"))
    assert_whole(small_bundle, ("new", "newer", "newest"))
    assert [entry.name for entry in small_bundle.parent.iterdir()] == ["small.linnet"]


def test_a_file_is_not_overwritten_by_a_bundle(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(LinnetError, match="notes: got a file of that name"):
        write_small_bundle(path, overwrite=True)
    assert path.read_text() == "mine"


def test_folders_above_a_bundle_are_made(tmp_path: Path) -> None:
    assert_whole(write_small_bundle(tmp_path / "new" / "place" / "parts.linnet"), LABELS)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LinnetError, match="expected a place that can be written"):
        write_small_bundle(tmp_path / "file" / "parts.linnet")


def test_others_may_read_a_bundle(small_bundle: Path) -> None:
    assert small_bundle.stat().st_mode & 0o777 == 0o755
