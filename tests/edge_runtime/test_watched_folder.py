"""``watch:FOLDER`` gives each picture once, when it is complete, and for as long as the folder is there."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import linnet_runtime.sources.watched_folder
from linnet_runtime.sources import NO_FRAME_YET, Frame, Source, SourceError, open_source
from linnet_runtime.sources.watched_folder import WatchedFolder
from program import PATIENCE_S


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linnet_runtime.sources.watched_folder, "_POLL_S", 0.001)
    monkeypatch.setattr(linnet_runtime.sources.watched_folder, "_WAIT_S", 0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def png(value: int) -> bytes:
    return cv2.imencode(".png", np.full((24, 32, 3), value, np.uint8))[1].tobytes()


def values(source: Source, count: int) -> list[int]:
    """The gray values of the next pictures, as many as are expected, and of what comes beyond them."""
    found: list[int] = []
    give_up = time.monotonic() + PATIENCE_S
    waits = 0
    while waits < 2 and time.monotonic() < give_up:
        frame = source.read()
        assert frame is not None
        if isinstance(frame, Frame):
            found.append(int(frame.pixels[0, 0, 0]))
        elif len(found) >= count:
            waits += 1
    return found


def next_value(source: Source) -> int:
    """The gray value of the next picture."""
    while not isinstance(frame := source.read(), Frame):
        assert frame is NO_FRAME_YET
    return int(frame.pixels[0, 0, 0])


def test_pictures_are_given_once_as_they_come(folder: Path) -> None:
    (folder / "before.png").write_bytes(png(1))
    source = open_source(f"watch:{folder}")
    assert (source.live, source.every_frame) == (True, True)
    assert values(source, 0) == []  # what was there has not been dropped in
    for value in (30, 20, 10):
        (folder / f"{value}.png").write_bytes(png(value))
        assert values(source, 1) == [value]
    assert values(source, 0) == []
    source.close()


def test_several_at_once_come_in_the_order_of_their_names(folder: Path) -> None:
    source = open_source(f"watch:{folder}")
    for name in ("b.png", "a.PNG", "c.jpg", ".hidden.png", "notes.txt"):
        (folder / name).write_bytes(png(ord(name[0])))
        os.utime(folder / name, ns=(0, 1_000_000_000))
    (folder / "below.png").mkdir()
    assert values(source, 3) == [ord("a"), ord("b"), ord("c")]


def test_the_first_picture_of_a_format_that_is_not_read_is_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = open_source(f"watch:{folder}")
    for name in ("1.heic", "2.HEIC", ".3.dng"):
        (folder / name).write_bytes(b"\0\0\0\x18ftypheic")
        assert values(source, 0) == []
    assert caplog.messages == [f"left out: {folder / '1.heic'}: .heic is not read"]


def test_a_picture_that_is_renamed_into_the_folder_is_new_and_one_that_is_renamed_in_it_is_not(folder: Path) -> None:
    source = open_source(f"watch:{folder}")
    (folder.parent / "old.png").write_bytes(png(5))
    os.utime(folder.parent / "old.png", ns=(0, 0))  # a copy keeps the time of the last change
    (folder.parent / "old.png").rename(folder / "new.png")
    assert values(source, 1) == [5]
    (folder / "new.png").rename(folder / "newer.png")
    assert values(source, 0) == []


def test_a_picture_that_is_written_again_is_a_new_one(folder: Path) -> None:
    source = open_source(f"watch:{folder}")
    for value in (1, 2, 2):
        (folder / "latest.png").write_bytes(png(value))
        assert values(source, 1) == [value]


def test_a_picture_that_is_still_written_is_given_when_it_is_complete(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pause of the writer may be longer than a look: then the half is no picture, and the whole one is."""
    source = open_source(f"watch:{folder}")
    data = png(7)
    with caplog.at_level(logging.ERROR, "linnet"), (folder / "slow.png").open("wb") as file:
        file.write(data[:-20])
        file.flush()
        assert values(source, 0) == []
        file.write(data[-20:])
        file.flush()
        assert values(source, 1) == [7]
    assert source.skipped == 1


def test_damaged_pictures_are_left_out_by_name_and_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = open_source(f"watch:{folder}")
    (folder / "broken.png").write_bytes(png(3)[:-20])
    (folder / "good.png").write_bytes(png(4))
    with caplog.at_level(logging.WARNING, "linnet"):
        assert values(source, 1) == [4]
    assert source.skipped == 1
    assert caplog.messages == [
        f"left out: {folder}/broken.png: got a PNG that is damaged or cut short, expected a picture"
    ]


def test_what_it_remembers_does_not_grow_with_the_pictures(folder: Path) -> None:
    source = open_source(f"watch:{folder}")
    assert isinstance(source, WatchedFolder)
    for number in range(200):
        picture = folder / f"{number}.png"
        picture.write_bytes(png(number % 250))
        assert next_value(source) == number % 250
        picture.unlink()
    values(source, 0)
    assert (len(source._known), len(source._growing), len(source._ready)) == (0, 0, 0)


def test_a_folder_that_is_removed_ends_the_source_and_can_be_opened_when_it_is_back(folder: Path) -> None:
    source = open_source(f"watch:{folder}")
    shutil.rmtree(folder)
    assert source.read() is None
    with pytest.raises(SourceError, match="which is no folder, expected watch: and a folder"):
        open_source(f"watch:{folder}")
    folder.mkdir()
    source = open_source(f"watch:{folder}")
    (folder / "first.png").write_bytes(png(9))
    assert values(source, 1) == [9]


@pytest.mark.parametrize(
    ("uri", "got"), [("watch:", "got no folder"), ("watch:/dev/null", "got '/dev/null', which is no")]
)
def test_what_is_no_folder_is_one_line(uri: str, got: str) -> None:
    with pytest.raises(SourceError, match=f"source: {got}"):
        open_source(uri)
