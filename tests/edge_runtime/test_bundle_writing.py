"""Writing a bundle: there is never half of one, and an older one is never lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edge_runtime.small_bundle import LABELS, MODEL, manifest_of, write_small_bundle
from linnet_devices.errors import LinnetError
from linnet_runtime.bundle import Bundle, BundleError, open_bundle
from linnet_runtime.bundle_files import check_file, files_of, write_bundle
from linnet_runtime.files import rename
from linnet_runtime.files.owned_directory import own_temporary_folder

# Fills half a bundle, says so, and waits to be killed.
HALF = """
import sys
from pathlib import Path
from linnet_runtime.bundle_files import write_bundle

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
    assert list(tmp_path.glob(".*")), "a kill leaves what nobody could remove"
    write_small_bundle(path, overwrite=True, labels=("new", "newer", "newest"))
    assert_whole(path, ("new", "newer", "newest"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["parts.linnet"], "the next writer removes it"


def test_a_writer_leaves_alone_what_a_living_one_has_begun(tmp_path: Path) -> None:
    path = tmp_path / "parts.linnet"
    with subprocess.Popen(
        [sys.executable, "-c", HALF, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        write_small_bundle(path, overwrite=True)
        assert [file.read_bytes() for file in tmp_path.glob(".*/*/model.int8.tflite")] == [b"half"]
        writer.kill()
    assert_whole(path, LABELS)


# Writes the small bundle as often as it is asked, over what is there, and says so.
WRITER = """
import sys
from pathlib import Path
from edge_runtime.small_bundle import write_small_bundle

for turn in range(int(sys.argv[2])):
    write_small_bundle(Path(sys.argv[1]), overwrite=True)
"""


def test_of_two_writers_to_one_path_neither_fails_and_a_whole_bundle_is_there_at_every_moment(tmp_path: Path) -> None:
    path = write_small_bundle(tmp_path / "parts.linnet")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, str(path), "80"]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    looks = 0
    while any(writer.poll() is None for writer in writers):
        assert open_bundle(path).labels == LABELS
        looks += 1
    for writer in writers:
        _, errors = writer.communicate()
        assert (writer.returncode, errors) == (0, "")
    assert looks > 20
    assert_whole(path, LABELS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["parts.linnet"]


def test_of_two_writers_that_may_not_overwrite_one_wins(tmp_path: Path) -> None:
    """The other one finds that out at its end: both began when the place was free."""
    path = tmp_path / "parts.linnet"

    def fill(directory: Path) -> Bundle:
        write_small_bundle(path)
        return manifest_of(directory, ("late", "later", "latest"))

    with pytest.raises(LinnetError, match="got it exists, expected a new name"):
        write_bundle(path, fill, overwrite=False)
    assert_whole(path, LABELS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["parts.linnet"]


def test_a_file_system_that_cannot_exchange_names_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: the answer of a network file system."""

    def unsupported(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(rename, "_renameat2", unsupported)
    path = write_small_bundle(tmp_path / "parts.linnet")
    write_small_bundle(path, overwrite=True, labels=("new", "newer", "newest"))
    assert_whole(path, ("new", "newer", "newest"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(FileExistsError):
        rename.rename_new(path, tmp_path / "taken")
    assert {entry.name for entry in tmp_path.iterdir()} == {"parts.linnet", "taken"}


# Makes a temporary file as a library would, says where, and waits to be killed.
TEMPORARY = """
import sys, tempfile
from linnet_runtime.files.owned_directory import own_temporary_folder

with own_temporary_folder():
    with tempfile.NamedTemporaryFile(delete=False) as file:
        print(file.name, flush=True)
    sys.stdin.read()
"""


def test_temporary_files_of_a_killed_process_are_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", TEMPORARY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )

    with start() as killed, start() as living:
        assert killed.stdout is not None
        assert living.stdout is not None
        left, used = Path(killed.stdout.readline().strip()), Path(living.stdout.readline().strip())
        killed.kill()
        killed.wait()
        assert left.exists()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with own_temporary_folder():
            assert not left.exists()
            assert used.exists()
            assert Path(tempfile.mkdtemp()).is_relative_to(tmp_path)
        assert tempfile.tempdir == str(tmp_path)
        living.communicate()
    assert list(tmp_path.iterdir()) == []


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
    with pytest.raises(
        LinnetError, match=r"small\.linnet: got it exists, expected a new name\. Fix: overwrite=True, or another name"
    ):
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
