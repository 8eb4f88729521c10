"""Annotated video, read again with OpenCV."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import cv2
import numpy as np
import pytest

from linnet_runtime.sinks import QueuedSink, SinkError, Stream
from linnet_runtime.sinks.settings import VideoSettings
from linnet_runtime.sinks.video import Video
from linnet_runtime.sources.api import Frame
from linnet_runtime.testing.sink_conformance import SinkConformance, sample_result

Usage = namedtuple("Usage", "total used free")


class TestVideo(SinkConformance):
    def open_sink(self, folder: Path) -> Video:
        return Video(VideoSettings(path=str(folder / "clip.avi")), Stream())


def flat(width: int = 96, height: int = 64, level: int = 128) -> Frame:
    return Frame(np.full((height, width, 3), level, np.uint8))


def written(path: Path, frames: list[Frame], **settings: object) -> QueuedSink:
    with QueuedSink(Video(VideoSettings(path=str(path), **settings), Stream()), wait=True) as sink:  # type: ignore[arg-type]
        for number, frame in enumerate(frames):
            sink.put(sample_result(number, camera="", picture=frame))
    return sink


def read(path: Path) -> list[np.ndarray]:  # type: ignore[type-arg]
    video = cv2.VideoCapture(str(path))
    frames = []
    while (answer := video.read())[0]:
        frames.append(answer[1])
    video.release()
    return frames


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_each_result_is_a_frame_with_its_label_in_a_band(tmp_path: Path, suffix: str) -> None:
    sink = written(tmp_path / f"clip{suffix}", [flat()] * 5)
    assert sink.delivered == 5
    frames = read(tmp_path / f"clip-0001{suffix}")
    assert len(frames) == 5
    assert frames[0].shape == (64, 96, 3)
    assert abs(int(frames[0][-1, -1, 0]) - 128) < 8  # the picture itself
    band = frames[0][:12]
    assert band.min() < 60  # dark, with bright letters
    assert band.max() > 150


def test_a_new_frame_size_begins_a_new_file_and_odd_sides_lose_a_pixel(tmp_path: Path) -> None:
    written(tmp_path / "clip.avi", [flat(96, 64), flat(96, 64), flat(65, 49)])
    assert [len(read(path)) for path in sorted(tmp_path.iterdir())] == [2, 1]
    assert read(tmp_path / "clip-0002.avi")[0].shape == (48, 64, 3)


def test_length_and_number_of_files_are_bounded_and_numbers_go_on(tmp_path: Path) -> None:
    (tmp_path / "clip-mine.avi").touch()
    written(tmp_path / "clip.avi", [flat()] * 9, fps=2, minutes=1 / 60, files=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip-0004.avi", "clip-0005.avi", "clip-mine.avi"]
    written(tmp_path / "clip.avi", [flat()], files=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip-0005.avi", "clip-0006.avi", "clip-mine.avi"]


def test_each_camera_and_region_has_files_of_its_own(tmp_path: Path) -> None:
    video = Video(VideoSettings(path=str(tmp_path / "clip.avi")), Stream())
    for camera, region in (("belt", ""), ("belt", "left"), ("front door", ""), ("belt", "")):
        video.write(sample_result(1, camera=camera, region=region, picture=flat()))
    video.close()
    names = ["clip-belt-0001.avi", "clip-belt-left-0001.avi", "clip-front_door-0001.avi"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_full_disk_is_counted_and_written_again_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV does not report a full disk: the free space is what is looked at."""
    video = Video(VideoSettings(path=str(tmp_path / "clip.avi")), Stream())
    item = sample_result(1, picture=flat())
    assert video.write(item)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
        with pytest.raises(SinkError, match="free space"):
            video.write(item)
    assert video.write(item)
    video.close()
    assert len(read(tmp_path / "clip-belt-0001.avi")) == 2


def test_another_suffix_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"expected NAME.avi or NAME.mp4"):
        Video(VideoSettings(path=str(tmp_path / "clip.mkv")), Stream())


def test_two_cameras_with_one_file_name_are_refused(tmp_path: Path) -> None:
    settings = VideoSettings(path=str(tmp_path / "clip.avi"))
    with pytest.raises(SinkError, match="got a b and a_b with the file name clip-a_b, expected different file names"):
        Video(settings, Stream(cameras={"a b": ("",), "a_b": ("",)}))
