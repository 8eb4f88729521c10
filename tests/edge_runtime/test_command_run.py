"""``linnet run``: labels on a stream as lines of JSON, the last of them the summary."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_runtime.simulated_camera import frame_of
from linnet_runtime.synthetic.conveyor import write_clip
from program import linnet, one_line_error

SUMMARY = {
    "frames_read",
    "frames_classified",
    "frames_dropped",
    "frames_skipped",
    "frames_too_old",
    "frames_damaged",
    "source_reopened",
    "last_frame_age_s",
    "seconds",
    "fps",
    "age_ms",
    "stages_ms",
    "device",
    "sinks",
}


def parse(output: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The frames' lines and the summary."""
    *frames, last = map(json.loads, output.splitlines())
    assert set(last) == {"summary"}
    return frames, last["summary"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A clip of the rendered belt and the number of its frames."""
    path = tmp_path_factory.mktemp("clip") / "belt.avi"
    return path, len(write_clip(path, seed=3, seconds=0.8))


@pytest.mark.parametrize("device", ["cpu:litert", "cpu:onnx", "cpu:openvino"])
def test_every_frame_of_a_clip_gets_a_line_and_the_summary_comes_last(
    device: str, clip: tuple[Path, int], bundle_folder: Path
) -> None:
    path, count = clip
    done = linnet("run", bundle_folder, "--source", path, "--device", device)
    frames, summary = parse(done.stdout)
    labels = json.loads((bundle_folder / "bundle.json").read_text())["labels"]
    assert [frame["frame"] for frame in frames] == list(range(1, count + 1))
    for frame in frames:
        keys = {"frame", "captured_at", "age_ms", "label", "probability", "device", "stages_ms"}
        assert set(frame) - {"event"} == keys
        assert frame["label"] in labels
        assert 0 < frame["probability"] <= 1
        assert frame["device"] == device
        assert set(frame["stages_ms"]) == {"wait", "preprocess", "inference", "decision"}
        assert frame["age_ms"] >= max(frame["stages_ms"].values()) - 0.001  # they are rounded
    assert frames == sorted(frames, key=lambda frame: frame["captured_at"])
    assert set(summary) == SUMMARY
    assert (summary["frames_read"], summary["frames_classified"], summary["frames_dropped"]) == (count, count, 0)
    assert summary["device"] == device
    assert set(summary["age_ms"]) == {"mean", "p50", "p90", "p99", "min", "max"}
    assert summary["age_ms"]["max"] == pytest.approx(max(frame["age_ms"] for frame in frames), abs=0.001)
    assert summary["fps"] == pytest.approx(count / summary["seconds"])
    assert done.stderr == ""


def test_the_run_may_be_ended_after_so_many_frames(clip: tuple[Path, int], small_bundle: Path) -> None:
    frames, summary = parse(linnet("run", small_bundle, "--device", "fake", "--source", clip[0], "--frames", 3).stdout)
    assert len(frames) == summary["frames_classified"] == 3


def test_the_rendered_conveyor_runs_without_any_camera(small_bundle: Path) -> None:
    done = linnet("run", small_bundle, "--device", "fake", "--source", "synthetic:", "--frames", 2, "--json")
    frames, _ = parse(done.stdout)
    assert len(frames) == 2


def test_pictures_that_are_all_unreadable_are_an_error_after_the_summary(small_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    done = linnet("run", small_bundle, "--device", "fake", "--source", tmp_path / "text.jpg", status=2)
    frames, summary = parse(done.stdout)
    assert frames == []
    assert summary["frames_classified"] == 0
    warning, error = done.stderr.splitlines()
    assert warning.startswith("WARNING: left out: ")
    assert error.endswith("text.jpg: got no picture that can be read, expected at least one")


def start_conveyor(bundle: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "linnet_runtime.cli", "run", str(bundle), "--device", "fake"]
    command += ["--source", "synthetic:"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGHUP, 1)]
)
def test_ctrl_c_and_a_services_end_end_a_live_run_with_its_summary(
    number: signal.Signals, times: int, small_bundle: Path
) -> None:
    with start_conveyor(small_bundle) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        for _ in range(times):  # `timeout -s INT` sends it twice
            process.send_signal(number)
        # Not communicate(): it would lose what readline() has read beyond the line.
        rest, errors = process.stdout.read(), process.stderr.read()
    frames, summary = parse(first + rest)
    assert [frame["frame"] for frame in frames] == list(range(1, len(frames) + 1))
    assert summary["frames_classified"] == len(frames)
    assert process.returncode == 0
    assert errors == ""


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")]
)
def test_a_signal_during_the_imports_is_one_line_and_of_a_live_command_its_summary(
    number: signal.Signals, name: str, small_bundle: Path
) -> None:
    """The signal arrives as soon as the program imports NumPy, the first of the large packages."""
    code = (
        "import os, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'numpy': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Stop())\n"
        "sys.argv[0] = '/usr/bin/linnet'\n"
        "from linnet_runtime.cli import main\n"
        "sys.exit(main())"
    )
    command = [sys.executable, "-c", code]
    picture = ("classify", str(small_bundle), "photo.jpg", "--device", "fake")
    done = subprocess.run([*command, *picture], capture_output=True, text=True, check=False)
    assert done.stderr == f"error: stopped by {name}\n"
    assert (done.stdout, done.returncode) == ("", 128 + number)
    live = ("run", str(small_bundle), "--device", "fake", "--source", "synthetic:")
    done = subprocess.run([*command, *live], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    frames, summary = parse(done.stdout)
    assert frames == []
    assert (set(summary), summary["frames_read"]) == (SUMMARY, 0)


def test_a_reader_that_leaves_early_is_no_error(small_bundle: Path) -> None:
    with start_conveyor(small_bundle) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["frame"] == 1
        process.stdout.close()  # as `| head -1` does
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_the_source_must_be_named(small_bundle: Path) -> None:
    assert one_line_error(linnet("run", small_bundle, status=2)) == "Missing option '--source'. Fix: linnet run --help"


def test_a_bad_bundle_is_one_line_before_the_source_is_opened(tmp_path: Path) -> None:
    error = one_line_error(linnet("run", tmp_path, "--source", "nowhere.mp4", status=1))
    assert error.startswith(f"{tmp_path}: got a folder without bundle.json")


def test_the_labels_follow_the_frames(small_bundle: Path, tmp_path: Path) -> None:
    for i, label in enumerate((2, 0, 1, 1)):
        assert cv2.imwrite(str(tmp_path / f"{i}.png"), np.kron(frame_of(label).pixels, np.ones((4, 4, 1), np.uint8)))
    frames, _ = parse(linnet("run", small_bundle, "--device", "fake", "--source", tmp_path / "?.png").stdout)
    assert [frame["label"] for frame in frames] == ["washer", "bolt", "nut", "nut"]
