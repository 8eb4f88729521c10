"""Snapshots: what is kept, under which label, and what makes room."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks import QueuedSink, SinkError, Stream
from linnet_runtime.sinks.settings import SnapshotSettings
from linnet_runtime.sinks.snapshots import Snapshots
from linnet_runtime.sources.api import Frame
from linnet_runtime.testing.sink_conformance import SinkConformance, sample_frame, sample_result


class TestSnapshots(SinkConformance):
    def open_sink(self, folder: Path) -> Snapshots:
        return Snapshots(SnapshotSettings(folder=str(folder / "new" / "snapshots")), Stream())


def snapshots(folder: Path, **settings: object) -> Snapshots:
    return Snapshots(SnapshotSettings(folder=str(folder), **settings), Stream())  # type: ignore[arg-type]


def uncertain(seed: int, label: str = "nut") -> Result:
    return sample_result(seed, label, 0.4, picture=sample_frame(seed))


def kept(folder: Path) -> list[str]:
    return sorted(f"{path.parent.name}/{path.name[:8]}" for path in folder.glob("*/*"))


def test_uncertain_and_changed_frames_are_kept_in_a_folder_for_each_label(tmp_path: Path) -> None:
    sink = snapshots(tmp_path, below=0.6)
    assert sink.write(sample_result(1, "nut", 0.59, picture=sample_frame(1)))
    assert not sink.write(sample_result(2, "nut", 0.6, picture=sample_frame(2)))  # certain
    assert not sink.write(sample_result(3, "nut", 0.1))  # its frame was left out
    assert sink.write(Event("change", 1.0, label="bolt", previous="nut", frame=sample_frame(4)))
    assert sink.write(Event("leave", 1.0, previous="bolt", frame=sample_frame(5)))
    assert not sink.write(Event("offline", 1.0))
    assert kept(tmp_path) == ["bolt/00000002", "bolt/00000003", "nut/00000001"]


def test_a_picture_is_the_frame_whatever_its_channels(tmp_path: Path) -> None:
    blue, gray = np.zeros((32, 48, 3), np.uint8), np.full((32, 48), 200, np.uint8)
    blue[..., 2] = 255  # in RGB
    sink = snapshots(tmp_path)
    sink.write(sample_result(1, "nut", 0.1, picture=Frame(blue, "rgb", captured_at=0.0)))
    sink.write(sample_result(1, "bolt", 0.1, picture=Frame(gray, "gray")))
    picture = cv2.imread(str(tmp_path / "nut" / "00000001_19700101T000000.jpg"))
    assert picture.shape == (32, 48, 3)
    assert picture[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)


def test_settings_may_leave_out_the_changes_or_the_uncertain(tmp_path: Path) -> None:
    change = Event("change", 1.0, label="bolt", frame=sample_frame(4))
    assert not snapshots(tmp_path, changes=False).write(change)
    assert not snapshots(tmp_path, below=0).write(sample_result(1, "nut", 0.01, picture=sample_frame(1)))


def test_a_picture_that_looks_like_one_of_its_label_is_kept_once_also_in_the_next_run(tmp_path: Path) -> None:
    scene = cv2.resize(sample_frame(1, 8, 8).pixels, (320, 240), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(scene.astype(int) + np.random.RandomState(0).randint(-4, 5, scene.shape), 0, 255).astype(np.uint8)
    sink = snapshots(tmp_path)
    assert sink.write(sample_result(1, "nut", 0.4, picture=Frame(scene)))
    assert not sink.write(sample_result(2, "nut", 0.4, picture=Frame(noisy)))
    assert not snapshots(tmp_path).write(sample_result(3, "nut", 0.4, picture=Frame(noisy)))
    assert sink.write(sample_result(4, "bolt", 0.4, picture=Frame(noisy)))  # under another label it says something
    assert sink.write(sample_result(5, "nut", 0.4, picture=Frame(scene[::-1].copy())))  # another scene


def test_number_and_bytes_are_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    sink = snapshots(tmp_path / "few", max_files=3)
    for seed in range(1, 6):
        assert sink.write(uncertain(seed, ("nut", "bolt")[seed % 2]))
    assert kept(tmp_path / "few") == ["bolt/00000003", "bolt/00000005", "nut/00000004"]
    sink = snapshots(tmp_path / "small", max_mb=0.02)
    for seed in range(1, 20):
        sink.write(uncertain(seed))
    sizes = [path.stat().st_size for path in (tmp_path / "small").glob("*/*")]
    assert len(sizes) > 1
    assert sum(sizes) <= 20_000


def test_the_next_run_goes_on_with_the_numbers_and_the_bounds(tmp_path: Path) -> None:
    for seed in range(1, 4):
        snapshots(tmp_path, max_files=2).write(uncertain(seed))
    assert kept(tmp_path) == ["nut/00000002", "nut/00000003"]


def test_a_clock_that_is_set_back_does_not_change_which_picture_is_the_oldest(tmp_path: Path) -> None:
    sink = snapshots(tmp_path, max_files=2)
    for seed, hour in enumerate([5, 4, 3]):
        frame = replace(sample_frame(seed), captured_at=hour * 3600.0)
        sink.write(sample_result(seed, "nut", 0.4, picture=frame))
    assert [path.name for path in sorted(tmp_path.glob("*/*"))] == [
        "00000002_19700101T040000.jpg",
        "00000003_19700101T030000.jpg",
    ]


def test_other_files_in_the_folder_are_neither_counted_nor_removed(tmp_path: Path) -> None:
    photos = tmp_path / "nut"
    photos.mkdir()
    for name in ("IMG_0001.jpg", "notes.txt", "123_20250101T000000.jpg"):
        (photos / name).write_bytes(b"mine")
    sink = snapshots(tmp_path, max_files=1)
    for seed in range(1, 4):
        sink.write(uncertain(seed))
    assert kept(tmp_path) == ["nut/00000003", "nut/123_2025", "nut/IMG_0001", "nut/notes.tx"]


def test_pictures_that_were_sorted_away_meanwhile_are_no_fault(tmp_path: Path) -> None:
    sink = snapshots(tmp_path, max_files=1)
    sink.write(uncertain(1))
    shutil.rmtree(tmp_path)
    assert sink.write(uncertain(2))
    assert kept(tmp_path) == ["nut/00000002"]


@pytest.mark.parametrize(
    ("label", "folder"), [("../../etc", "_.._etc"), ("a/b", "a_b"), (".hidden", "hidden"), ("..", "_"), ("Tür", "Tür")]
)
def test_a_label_cannot_lead_out_of_the_folder(tmp_path: Path, label: str, folder: str) -> None:
    snapshots(tmp_path / "here").write(uncertain(1, label))
    assert kept(tmp_path / "here") == [f"{folder}/00000001"]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


_ON_A_FULL_DISK = """
import json, resource, sys, time
from linnet_runtime.sinks import QueuedSink, Stream
from linnet_runtime.sinks.settings import SnapshotSettings
from linnet_runtime.sinks.snapshots import Snapshots
from linnet_runtime.testing.sink_conformance import sample_frame, sample_result
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
sink = QueuedSink(Snapshots(SnapshotSettings(folder=sys.argv[1]), Stream()), wait=True)
for seed, limit in enumerate((most, 1000, 1000, most)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    sink.put(sample_result(seed, "nut", 0.4, picture=sample_frame(seed)))
    while sink.delivered + sink.failed <= seed:
        time.sleep(0.01)
sink.close()
print(json.dumps(sink.summary()))
"""


def test_a_full_disk_is_counted_leaves_no_half_picture_and_recovers(tmp_path: Path) -> None:
    """A limit of the kernel on the size of a file stands for the full disk."""
    done = subprocess.run([sys.executable, "-c", _ON_A_FULL_DISK, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"delivered": 2, "dropped": 0, "failed": 2}
    pictures = [cv2.imread(str(path)) for path in tmp_path.glob("*/*")]
    assert [picture.shape for picture in pictures] == [(48, 64, 3)] * 2


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="expected a folder that can be written"):
        snapshots(tmp_path / "file" / "snapshots")


def test_a_folder_that_is_removed_while_running_is_made_again(tmp_path: Path) -> None:
    with QueuedSink(snapshots(tmp_path / "folder")) as sink:
        shutil.rmtree(tmp_path / "folder")
        sink.put(uncertain(1))
    assert sink.delivered == 1
