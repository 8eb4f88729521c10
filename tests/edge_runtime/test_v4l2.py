"""V4L2 cameras through a strict stand-in for OpenCV's capture: simulated, no camera was here."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.network_camera import jpeg
from edge_runtime.simulated_v4l2 import LAG_S, SimulatedV4l2
from linnet_runtime.sources import Frame, SourceError, open_source

BOLT, WASHER = jpeg(0), jpeg(2)
HALF = WASHER[: len(WASHER) // 2]
Connect = Callable[[SimulatedV4l2], str]


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Connects a simulated camera, and returns its URI. A plain file is its device file."""

    def connect(camera: SimulatedV4l2) -> str:
        (tmp_path / "video0").touch()
        monkeypatch.setattr(cv2, "VideoCapture", camera.capture)
        return f"v4l2://{tmp_path}/video0"

    return connect


def label(frame: object) -> int:
    assert isinstance(frame, Frame)
    return int(frame.pixels[96, [32, 96, 160], 0].argmax())


def test_a_camera_gives_its_size_rate_and_format_as_read_back(connect: Connect) -> None:
    with open_source(connect(SimulatedV4l2([BOLT] * 3)) + "?width=1280&height=720&fps=15") as source:
        assert (source.size, source.fps, source.compressed, source.live) == ((1280, 720), 15.0, True, True)
        assert [label(source.read()), label(source.read())] == [0, 0]


def test_without_a_size_it_is_640_x_480_or_what_the_camera_has(connect: Connect) -> None:
    with open_source(connect(SimulatedV4l2([BOLT]))) as source:
        assert source.size == (640, 480)
    with open_source(connect(SimulatedV4l2([BOLT], sizes=((320, 240),)))) as source:
        assert source.size == (320, 240)


def test_a_size_that_the_camera_does_not_have_is_one_line_with_what_it_gave(connect: Connect) -> None:
    camera = SimulatedV4l2([BOLT])
    with pytest.raises(SourceError, match="got 1280 x 720 from the camera, expected 1920 x 1080") as refused:
        open_source(connect(camera) + "?width=1920&height=1080")
    assert "Fix: ?width=1280&height=720, or another size" in str(refused.value)
    assert not camera.in_use


def test_another_rate_is_a_warning(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "linnet"), open_source(connect(SimulatedV4l2([BOLT])) + "?fps=60"):
        (message,) = caplog.messages
    assert message.endswith("?fps=60: the camera gives 30 frames a second, not 60")


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("0?width=640", "source: got one of width= and height=, expected width= and height= together, or fps="),
        ("0?height=640&fps=5", "source: got one of width= and height="),
        ("/dev/video0?widht=640&height=480", "source: got widht=640, expected width= and height= together"),
        ("v4l2:///dev/video0?fps=fast", "source: got fps=fast, expected fps= and a positive number"),
        ("v4l2://0?fps=1e300", "source: got fps=1e300, expected fps= and a positive number, at most 1000000000"),
        ("v4l2://0?fps=0", "source: got fps=0, expected fps= and a positive number"),
        ("99?width=640&height=480", r"99\?width=640&height=480: got no /dev/video99"),
    ],
)
def test_an_option_that_is_wrong_is_one_line(uri: str, error: str) -> None:
    with pytest.raises(SourceError, match=error):
        open_source(uri)


def test_half_frames_are_skipped_and_counted_and_no_line_is_written(
    connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    buffers = [BOLT, HALF, BOLT, HALF + b"\xff\xd9", None, BOLT + bytes(500), HALF + bytes(500), b"", BOLT]
    with open_source(connect(SimulatedV4l2(buffers))) as source:
        assert [label(source.read()) for _ in range(4)] == [0] * 4
        assert source.skipped == 5
        assert source.read() is None  # many bad reads in a row: the camera is lost
    assert capfd.readouterr().err == ""


def test_a_first_frame_that_is_damaged_is_skipped_too(connect: Connect) -> None:
    with open_source(connect(SimulatedV4l2([HALF, BOLT]))) as source:
        assert label(source.read()) == 0
        assert source.skipped == 1


def test_a_raw_camera_is_decoded_by_opencv(connect: Connect) -> None:
    with open_source(connect(SimulatedV4l2([BOLT], mjpg=False))) as source:
        assert not source.compressed
        assert label(source.read()) == 0


def test_a_frames_age_counts_from_the_drivers_time_stamp(connect: Connect) -> None:
    with open_source(connect(SimulatedV4l2([BOLT]))) as source:
        frame = source.read()
    assert isinstance(frame, Frame)
    assert frame.captured_monotonic <= time.monotonic() - LAG_S
    assert frame.captured_at <= time.time() - LAG_S


def test_without_a_time_stamp_a_frame_was_taken_when_it_came(connect: Connect) -> None:
    before = time.monotonic()
    with open_source(connect(SimulatedV4l2([BOLT], time_stamps=False))) as source:
        frame = source.read()
    assert isinstance(frame, Frame)
    assert frame.captured_monotonic >= before


def test_a_camera_that_another_process_uses_is_named_with_it(connect: Connect, tmp_path: Path) -> None:
    camera = SimulatedV4l2([])
    uri = connect(camera)
    camera.in_use = True
    with (tmp_path / "video0").open() as device:
        code = "import time; print(flush=True); time.sleep(600)"
        other = subprocess.Popen([sys.executable, "-c", code], stdin=device, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(SourceError, match=rf"got a camera that .*, process {other.pid} uses, expected frames"):
            open_source(uri)
    finally:
        other.kill()
        other.communicate()


def test_another_device_is_no_camera_and_nobody_is_told_to_end_its_users() -> None:
    with pytest.raises(SourceError, match=r"^v4l2:///dev/null: got a device that is no camera, expected"):
        open_source("v4l2:///dev/null")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "got no permission, .* Fix: sudo usermod -aG video"),
        (OSError(errno.ENODEV, "No such device"), "got no such device, expected frames from a V4L2 camera"),
        (None, "got no frame, expected frames from a V4L2 camera. Fix: close other programs"),
    ],
)
def test_a_camera_without_a_frame_has_its_own_reason(
    error: OSError | None, line: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = connect(SimulatedV4l2([None]))

    def refuse(*_: object) -> int:
        assert error is not None
        raise error

    if error:
        monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceError, match=line):
        open_source(uri)


def test_a_camera_that_is_unplugged_ends_and_is_then_not_there(connect: Connect, tmp_path: Path) -> None:
    uri = connect(SimulatedV4l2([BOLT]))
    with open_source(uri) as source:
        assert label(source.read()) == 0
        (tmp_path / "video0").unlink()
        assert source.read() is None
        assert source.skipped == 0  # a loss is no damaged frame
    with pytest.raises(SourceError, match=rf"got no {tmp_path}/video0"):
        open_source(uri)


def test_a_camera_with_an_undecoded_format_is_refused(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = SimulatedV4l2([BOLT], mjpg=False)
    uri = connect(camera)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: np.zeros((1, 691200), np.uint8))
    with open_source(uri) as source, pytest.raises(SourceError, match=r"frames of shape \[1, 691200\]"):
        source.read()
