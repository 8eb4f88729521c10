"""Sources of frames: files, folders and cameras that are not there."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_runtime.read_sources import brightness, grey, read_all, write_clip
from linnet_runtime.sources import SourceError, open_source
from linnet_runtime.sources.gstreamer import _is_built_in
from linnet_runtime.sources.opencv import OpenCvSource
from program import DATA, linnet, needs_data, one_line_error


def test_a_video_file_gives_every_frame_in_order_and_then_ends(tmp_path: Path) -> None:
    values = list(range(20, 220, 10))
    source = open_source(str(write_clip(tmp_path / "clip.avi", values)))
    assert not source.live
    frames = read_all(source)
    assert brightness(frames) == values
    assert all((frame.pixels.shape, frame.color) == ((240, 320, 3), "bgr") for frame in frames)


def test_a_paced_video_gives_every_frame_when_it_is_due(tmp_path: Path) -> None:
    values = list(range(20, 220, 20))
    source = open_source(str(write_clip(tmp_path / "clip.avi", values)), paced=True)
    assert not source.live  # its end is the end of the run
    frames, given = [], []
    while (frame := source.read()) is not None:
        frames.append(frame)
        given.append(time.monotonic())
    source.close()
    assert brightness(frames) == values
    captured = np.array([frame.captured_monotonic for frame in frames])
    np.testing.assert_allclose(np.diff(captured), 1 / 25, atol=1e-3)  # by the file's timestamps, not by a clock
    assert (captured <= given).all()  # none came before it was due


@pytest.mark.skipif(cv2.__version__.startswith("4.11"), reason="OpenCV 4.11.0 does not read FFmpeg's options")
def test_a_video_that_was_cut_short_ends_with_its_last_whole_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", [20, 60, 100, 140, 180, 220])
    data = clip.read_bytes()
    starts = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)]
    clip.write_bytes(data[: (starts[3] + starts[4]) // 2])  # the fourth frame's lower half would be the third's
    assert brightness(read_all(open_source(str(clip)))) == [20, 60, 100]


def test_closing_twice_does_nothing(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), grey(9))
    for uri in (str(tmp_path), str(write_clip(tmp_path / "clip.avi", [9])), "synthetic:"):
        source = open_source(uri)
        source.close()
        source.close()


def test_the_rendered_conveyor_is_a_camera() -> None:
    source = open_source("synthetic:")
    assert source.live
    first, second = source.read(), source.read()
    source.close()
    assert first is not None
    assert second is not None
    assert first.pixels.dtype == np.uint8
    assert first.pixels.ndim == 3
    assert not np.array_equal(first.pixels, second.pixels)
    assert second.captured_monotonic > first.captured_monotonic


def test_so_many_frames_of_the_conveyor_are_a_clip() -> None:
    source = open_source("synthetic:?frames=3&fps=5")
    assert (source.live, source.every_frame) == (False, True)
    assert len(read_all(source)) == 3


def test_a_paced_clip_of_the_conveyor_gives_no_frame_before_it_is_due() -> None:
    source = open_source("synthetic:?frames=4&fps=20", paced=True)
    assert (source.live, source.every_frame) == (False, True)
    first, *_, last = read_all(source)
    assert last.captured_monotonic - first.captured_monotonic >= 2 / 20  # the second may come late


def test_gstreamer_is_one_line_where_opencv_has_none_and_a_camera_where_it_has() -> None:
    uri = "gst:videotestsrc num-buffers=3 ! video/x-raw,width=64,height=48"
    if _is_built_in():
        source = open_source(uri)
        assert source.live
        assert [frame.pixels.shape for frame in read_all(source)] == [(48, 64, 3)] * 3
        return
    with pytest.raises(SourceError) as refused:
        open_source(uri)
    assert str(refused.value).startswith(f"{uri}: got OpenCV {cv2.__version__} without GStreamer, expected one that")
    assert "Fix: sudo apt install python3-opencv" in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        (
            "nowhere.mp4",
            "--source: got 'nowhere.mp4', which does not exist, expected a file, a folder, a camera's number",
        ),
        ("", "--source: got '', which does not exist, expected a file"),  # not the working directory's pictures
        ("nowhere/*.jpg", "nowhere/*.jpg: got no pictures, expected files .avif, .bmp, .gif, .jfif"),
        ("nowhere.mp4", ". Fix: check the path; linnet doctor lists the cameras"),
        ("ftp://host/clip.mp4", "got 'ftp://host/clip.mp4', expected a file, a folder, a camera's number, rtsp://"),
        ("ftp://host/clip.mp4", "Fix: download the file, and give its path"),
        ("rstp://host/1", "got 'rstp://host/1', expected a file, a folder"),
        ("rstp://host/1", "Fix: write rtsp:"),
        ("htttp://host/1", "Fix: write http:"),
        ("syntetic:", "Fix: write synthetic:"),
        ("99", "99: got no /dev/video99, expected "),
        ("/dev/video99", "/dev/video99: got no /dev/video99, expected "),
        ("v4l2://99", "v4l2://99: got no /dev/video99, expected "),
        ("v4l2:///dev/video99", "v4l2:///dev/video99: got no /dev/video99, expected "),
        ("x" * 300, f"the source {'x' * 300}: got File name too long, expected a file, a folder"),
        ("ftp://user:pass@host/clip.mp4", "got 'ftp://host/clip.mp4', expected a file"),
        ("synthetic:fast", "got 'synthetic:fast', expected synthetic:, with ?fps=1 to 1000 and frames=N or nothing"),
        ("synthetic:?fps=5000", "got 'synthetic:?fps=5000', expected synthetic:, with ?fps=1 to 1000"),
        ("synthetic:?frames=2.5", "got 'synthetic:?frames=2.5', expected synthetic:, with ?fps=1 to 1000"),
        ("gst:", "--source: got 'gst:', expected gst: and a GStreamer pipeline. Fix: --source gst:v4l2src"),
    ],
)
def test_a_source_that_is_not_there_is_one_line(uri: str, error: str, small_bundle: Path) -> None:
    done = linnet("run", small_bundle, "--device", "fake", "--source", uri, status=2, cwd=small_bundle)
    assert error in one_line_error(done)
    assert done.stdout == ""


def test_v4l2_alone_is_the_first_camera() -> None:
    if Path("/dev/video0").exists():
        pytest.skip("a camera is connected")
    for uri in ("0", "v4l2:", "v4l2://"):
        with pytest.raises(SourceError, match="got no /dev/video0"):
            open_source(uri)


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 100, b"\0" * 100_000])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip"])
def test_a_file_that_is_no_video_is_one_line(name: str, content: bytes, small_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    done = linnet("run", small_bundle, "--device", "fake", "--source", tmp_path / name, status=2)
    assert one_line_error(done).startswith(f"{tmp_path / name}: got ")
    assert one_line_error(done).endswith("expected a video that OpenCV can read")


@needs_data
def test_av1_without_a_decoder_is_named_with_what_to_do(small_bundle: Path) -> None:
    clip = DATA.parent / "cases" / "av1.mp4"
    if not clip.is_file():
        pytest.skip("no clip in AV1 beside the real photos")
    done = linnet("run", small_bundle, "--device", "fake", "--source", clip, status=2)
    assert one_line_error(done).startswith(f"{clip}: got AV1 video, for which OpenCV {cv2.__version__} has no decoder")
    assert one_line_error(done).endswith("Fix: ffmpeg -i av1.mp4 -c:v libx264 h264.mp4")


class SimulatedCapture:
    """Simulated: a camera whose driver hands over frames of this shape."""

    def __init__(self, *shape: int) -> None:
        self._frame = np.full(shape, 7, np.uint8)

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        return True, self._frame

    def release(self) -> None:
        pass


def open_simulated(*shape: int) -> OpenCvSource:
    capture: Any = SimulatedCapture(*shape)
    return OpenCvSource("camera", lambda: capture, live=True, expected="a camera")


@pytest.mark.parametrize("shape", [(1, 691200), (1, 691200, 1), (480, 640, 2), (480, 640, 4)])
def test_frames_that_were_not_decoded_are_an_error_and_no_picture(shape: tuple[int, ...]) -> None:
    source = open_simulated(*shape)
    with source, pytest.raises(SourceError, match=r"camera: got frames of shape \[.*\], expected \[H, W, 3\]"):
        source.read()


def test_a_grey_camera_is_grey() -> None:
    with open_simulated(480, 640) as source:
        frame = source.read()
    assert frame is not None
    assert (frame.color, frame.pixels.shape) == ("gray", (480, 640))
