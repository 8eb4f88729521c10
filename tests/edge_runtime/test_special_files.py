"""Files of a user that are no regular files, and paths that the system or an engine does not take: one line each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from program import PATIENCE_S, linnet, one_line_error


def a_fifo(path: Path) -> None:
    """Reading it would wait for ever."""
    os.mkfifo(path)


def zeros_without_end(path: Path) -> None:
    """Reading it to its end would take all memory."""
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [a_fifo, zeros_without_end])
@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("data", "check"), "photos.csv"),
        (("verify", "BUNDLE", "--device", "fake", "--data"), "photos.tsv"),
        (("bench", "BUNDLE", "--device", "fake", "--data"), "photos.csv"),
        (("run", "BUNDLE", "--device", "fake", "--config"), "live.toml"),
        (("train", "--out", "run", "--recipe"), "recipe.toml"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_file_that_is_not_regular_is_refused_at_once(
    command: tuple[str, ...], name: str, make: Callable[[Path], None], small_bundle: Path, tmp_path: Path
) -> None:
    make(tmp_path / name)
    arguments = [str(small_bundle) if word == "BUNDLE" else word for word in command]
    status = 2 if command[0] == "run" else 1
    done = linnet(*arguments, name, status=status, cwd=tmp_path, timeout=PATIENCE_S)
    assert one_line_error(done).startswith(f"{name}: got not a regular file, expected ")


@pytest.mark.parametrize("make", [a_fifo, zeros_without_end, lambda path: path.symlink_to(path)])
def test_a_source_that_is_not_regular_is_said_to_be_there(
    make: Callable[[Path], None], small_bundle: Path, tmp_path: Path
) -> None:
    make(tmp_path / "clip.mp4")
    done = linnet("run", small_bundle, "--device", "fake", "--source", "clip.mp4", status=2, cwd=tmp_path)
    assert "got 'clip.mp4', which is neither a regular file nor a folder, expected a file" in one_line_error(done)


LONG = "a" * 300  # a name has at most 255 bytes


@pytest.mark.parametrize(
    "command",
    [
        ("verify", LONG),
        ("classify", LONG, "photo.jpg"),
        ("verify", "BUNDLE", "--device", "fake", "--data", LONG),
        ("bench", "BUNDLE", "--device", "fake", "--data", LONG),
        ("run", "BUNDLE", "--device", "fake", "--source", LONG),
        ("run", "BUNDLE", "--device", "fake", "--source", f"watch:{LONG}"),
        ("run", "BUNDLE", "--device", "fake", "--config", LONG),
        ("data", "check", LONG),
        ("data", "check", f"{LONG}.csv"),
        ("train", "BUNDLE", "--out", LONG),
    ],
    ids=lambda words: " ".join(word.replace(LONG, "LONG") for word in words),
)
def test_a_name_that_is_too_long_is_one_line_that_names_the_users_path(
    command: tuple[str, ...], small_bundle: Path, tmp_path: Path
) -> None:
    arguments = [str(small_bundle) if word == "BUNDLE" else word for word in command]
    done = linnet(*arguments, status=2 if command[0] == "run" and "watch" not in str(command) else 1, cwd=tmp_path)
    line = one_line_error(done)
    assert "File name too long" in line
    assert f"{LONG}/" not in line, "a file within, which the user did not name"


@pytest.mark.parametrize(
    "command",
    [
        ("classify", "BUNDLE", "photo.png"),
        ("verify", "BUNDLE"),
        ("bench", "BUNDLE"),
        ("run", "BUNDLE", "--source", "0"),
    ],
    ids=lambda words: words[0],
)
def test_a_bundle_whose_path_is_not_utf8_is_one_line(
    command: tuple[str, ...], small_bundle: Path, tmp_path: Path
) -> None:
    """LiteRT and ONNX Runtime take no such path."""
    bundle = small_bundle.rename(os.fsdecode(bytes(tmp_path) + b"/Sch\xe4den.linnet"))
    done = linnet(*(bundle.name if word == "BUNDLE" else word for word in command), status=1, cwd=tmp_path)
    line = one_line_error(done)
    assert line.startswith(rf"{tmp_path}/Sch\xe4den.linnet: got a path that is not UTF-8, expected UTF-8, because the ")


def test_a_bundle_below_a_folder_that_is_not_utf8_is_one_line(small_bundle: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/Sch\xe4den"))
    folder.mkdir()
    small_bundle.rename(folder / "small.linnet")
    done = linnet("classify", "small.linnet", "photo.png", status=1, cwd=folder)
    assert r"Sch\xe4den/small.linnet: got a path that is not UTF-8" in one_line_error(done)


def test_photos_below_a_folder_that_is_not_utf8_measure_a_bundle(small_bundle: Path, tmp_path: Path) -> None:
    """They are read here, and no engine sees their names."""
    for label in ("bolt", "nut"):
        folder = Path(os.fsdecode(bytes(tmp_path) + b"/Sch\xe4den")) / label
        folder.mkdir(parents=True)
        (folder / "0.png").write_bytes(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes())
    done = linnet("bench", small_bundle, "--device", "fake", "--quick", "--data", folder.parent, "--json")
    assert '"n":2' in done.stdout
