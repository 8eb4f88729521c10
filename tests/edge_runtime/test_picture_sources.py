"""Folders, patterns and single pictures as sources."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.read_sources import brightness, grey, read_all, write_clip
from linnet_runtime.sources import SourceError, open_source
from program import linnet, one_line_error


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures here and in a folder below, one broken one and two other files."""
    root = tmp_path / "pictures"
    (root / "below").mkdir(parents=True)
    for name, value in (("b.png", 20), ("a.JPG", 10), ("below/c.webp", 30)):
        suffix = Path(name).suffix.lower()
        (root / name).write_bytes(cv2.imencode(suffix, grey(value))[1].tobytes())
    (root / "broken.png").write_bytes(cv2.imencode(".png", grey(99))[1].tobytes()[:-4])
    (root / "notes.txt").write_text("no picture")
    (root / "clip.mp4").write_text("no picture either")
    return root


def test_a_folder_gives_its_pictures_by_path_and_leaves_broken_ones_out_by_name(
    folder: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING, "linnet"):
        assert brightness(read_all(open_source(str(folder)))) == [10, 20, 30]
    assert caplog.messages == [
        f"left out: {folder / 'broken.png'}: got a PNG that is damaged or cut short, expected a picture"
    ]
    assert capfd.readouterr().err == ""  # libpng's own words of it are no second line


def test_a_jpeg_with_stray_bytes_is_read_and_libjpeg_writes_no_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    jpeg = cv2.imencode(".jpg", grey(50))[1].tobytes()
    (tmp_path / "stray.jpg").write_bytes(jpeg[:-2] + b"\1\2\3" + jpeg[-2:])
    assert brightness(read_all(open_source(str(tmp_path)))) == [50]
    assert capfd.readouterr().err == ""  # "Corrupt JPEG data: 3 extraneous bytes before marker 0xd9"


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("*.png", [20]),
        ("?.*", [10, 20]),
        ("**/*", [10, 20, 30]),
        ("a.JPG", [10]),
    ],
)
def test_a_glob_or_one_picture_gives_what_it_names(pattern: str, values: list[int], folder: Path) -> None:
    assert brightness(read_all(open_source(str(folder / pattern)))) == values


@pytest.mark.parametrize("name", ["shot [1].png", "shot*.png"])
def test_a_file_whose_name_looks_like_a_glob_is_a_file(name: str, tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / name), grey(50))
    assert brightness(read_all(open_source(str(tmp_path / name)))) == [50]
    clip = write_clip(tmp_path / name.replace(".png", ".avi"), [70])
    assert brightness(read_all(open_source(str(clip)))) == [70]


def test_pictures_come_in_the_order_of_their_names_whatever_the_file_systems(tmp_path: Path) -> None:
    for value in (90, 30, 70, 10, 50, 80, 20, 60, 40):
        assert cv2.imwrite(str(tmp_path / f"{value}.png"), grey(value))
    in_order = [10, 20, 30, 40, 50, 60, 70, 80, 90]
    for uri in (tmp_path, tmp_path / "*.png"):
        assert brightness(read_all(open_source(str(uri)))) == in_order


@pytest.mark.parametrize("pattern", ["", "*", "**/*"])
def test_pictures_of_a_format_that_is_not_read_are_counted_and_named(
    pattern: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As iPhones write them; a text is no picture, and nobody misses it."""
    (folder / "broken.png").unlink()
    for name in ("IMG_1.HEIC", "IMG_2.HEIC", "raw.dng"):
        (folder / name).write_bytes(b"\0\0\0\x18ftypheic")
    with caplog.at_level(logging.WARNING, "linnet"):
        assert brightness(read_all(open_source(str(folder / pattern))))[:2] == [10, 20]
    assert caplog.messages == [
        f"3 files not read: .heic is not read (2): {folder}/IMG_1.HEIC, {folder}/IMG_2.HEIC; "
        f".dng is not read (1): {folder}/raw.dng"
    ]


def test_a_folder_of_such_pictures_alone_is_an_error_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    line = r"got no pictures: 1 file not read: \.heic is not read \(1\): .*IMG_1\.HEIC, expected files \.avif"
    with pytest.raises(SourceError, match=line):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    "name", ["__MACOSX/._a.jpg", "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg", ".thumbnails/a.jpg", ".a.jpg"]
)
def test_pictures_that_a_system_makes_are_no_frames(name: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "broken.png").unlink()
    (folder / "below" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "below" / name).write_bytes(cv2.imencode(".jpg", grey(90))[1].tobytes())
    assert brightness(read_all(open_source(str(folder)))) == [10, 20, 30]
    assert not caplog.messages


def test_pictures_that_are_all_broken_are_an_error(folder: Path) -> None:
    source = open_source(str(folder / "broken*"))
    with pytest.raises(SourceError, match=r"broken\*: got no picture that can be read, expected at least one"):
        source.read()


@pytest.mark.parametrize("name", ["", "*.png", "0.png"])
def test_the_newest_of_pictures_is_refused_because_most_would_be_dropped(
    name: str, small_bundle: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((12, 12, 3), np.uint8))
    source = ("--source", tmp_path / name, "--policy", "newest")
    line = one_line_error(linnet("run", small_bundle, "--device", "fake", *source, status=2))
    assert "got pictures, which have no times, expected a camera or a video, where only the newest frames" in line
    assert line.endswith("Fix: --policy every")
