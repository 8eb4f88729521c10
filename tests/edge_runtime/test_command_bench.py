"""``linnet bench``: one row for each device, with what a mean alone would hide."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import Popen

import cv2
import numpy as np
import pytest

from program import PATIENCE_S, linnet, one_line_error

ENGINES = {"cpu:litert": "model.int8.tflite", "cpu:onnx": "model.int8.onnx", "cpu:openvino": "int8.xml"}
ROW = {
    "device",
    "artifact",
    "precision",
    "threads",
    "state",
    "latency_ms",
    "throughput_fps",
    "load_ms",
    "first_ms",
    "peak_rss_mb",
    "accuracy",
    "scope",
    "tier",
    "latency_interval_ms",
    "steady",
    "artifact_sha256",
    "conditions",
}


def test_the_benchmark_tells_the_machine_and_a_row_for_each_engine(bundle_folder: Path, run_folder: Path) -> None:
    done = linnet("bench", bundle_folder, "--data", run_folder, "--quick", "--threads", 1, "--json")
    report = json.loads(done.stdout)
    assert set(report) >= {"version", "interrupted", "profile", "host", "results"}
    assert (report["interrupted"], report["profile"]) == (False, "quick")
    assert report["host"]["versions"]["numpy"] == np.__version__
    assert report["host"]["processor"]
    assert report["host"]["cores"] >= 1
    assert {row["device"]: row["artifact"] for row in report["results"]} == ENGINES
    for row in report["results"]:
        assert set(row) >= ROW
        latency = row["latency_ms"]
        assert list(latency) == ["mean", "p50", "p90", "p95", "p99", "p999", "min", "max", "std"]
        in_order = [latency[key] for key in ("min", "p50", "p90", "p95", "p99", "p999", "max")]
        assert in_order[0] > 0
        assert in_order == sorted(in_order)
        assert row["latency_interval_ms"]["p50"]["low"] <= latency["p50"] <= row["latency_interval_ms"]["p50"]["high"]
        assert latency["min"] <= latency["mean"] <= latency["max"]
        assert row["throughput_fps"] == pytest.approx(1000 / latency["mean"])
        assert row["load_ms"] > 0
        assert row["first_ms"] > 0
        assert row["peak_rss_mb"] > 10  # NumPy alone is more
        assert (row["precision"], row["threads"], row["state"]) == ("int8", 1, "warm")
        assert (row["scope"], row["tier"], row["pictures"]) == ("invoke", "hardware", "photos")
        assert 0 <= row["accuracy"]["top1"] <= row["accuracy"]["top5"] <= 1
        assert row["accuracy"]["n"] > 0
    assert done.stderr == ""


def test_the_table_has_a_row_for_each_device_and_without_photos_no_accuracy(small_bundle: Path) -> None:
    lines = linnet("bench", small_bundle, "--device", "fake", "--quick").stdout.splitlines()
    assert lines[0].split()[:4] == ["device", "artifact", "p50", "ms"]
    assert lines[1].split()[:2] == ["fake", "model.int8.tflite"]
    assert lines[1].split()[-1] == "-"
    assert all(line.startswith("fake, invoke: ") for line in lines[2:])


def test_a_device_that_cannot_run_is_a_row_with_its_reason_and_the_others_are_timed(small_bundle: Path) -> None:
    done = linnet("bench", small_bundle, "--device", "cpu:onnx, fake", "--quick", "--json")
    failed, timed = json.loads(done.stdout)["results"]
    assert failed["device"] == "cpu:onnx"
    assert "the bundle has none in int8" in failed["error"]
    assert timed["device"] == "fake"
    assert timed["latency_ms"]["p50"] > 0


def test_when_no_device_could_run_that_is_an_error(small_bundle: Path) -> None:
    done = linnet("bench", small_bundle, "--device", "cpu:onnx", "--quick", "--json", status=1)
    assert "cpu:onnx reads onnx and the bundle has none in int8" in one_line_error(done)
    assert "error" in json.loads(done.stdout)["results"][0]


def test_an_unknown_device_is_an_error_before_anything_is_timed(small_bundle: Path) -> None:
    done = linnet("bench", small_bundle, "--device", "fake,cpu:opnvino", "--quick", status=1)
    assert one_line_error(done).endswith("Fix: --device cpu:openvino")
    assert done.stdout == ""


def test_a_damaged_bundle_is_one_error(tmp_path: Path) -> None:
    done = linnet("bench", tmp_path, "--quick", status=1)
    assert "expected a bundle, which is a folder with bundle.json" in one_line_error(done)
    assert done.stdout == ""


def photo_of_class(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes())


def test_wrong_photos_are_one_error_before_anything_is_timed(small_bundle: Path, tmp_path: Path) -> None:
    photo_of_class(tmp_path / "photos", "spring/0.png")
    done = linnet("bench", small_bundle, "--device", "fake", "--data", tmp_path / "photos", status=1)
    assert one_line_error(done) == f"{tmp_path / 'photos'}: got classes spring, expected only bolt, nut, washer"
    assert done.stdout == ""


def test_photos_that_are_not_read_are_counted_and_named(small_bundle: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("bolt/0.png", "nut/1.png"):
        photo_of_class(photos, name)
    for name in ("broken.jpg", "IMG_1.heic"):
        (photos / "bolt" / name).touch()
    done = linnet("bench", small_bundle, "--device", "fake", "--quick", "--data", photos, "--json")
    [row] = json.loads(done.stdout)["results"]
    assert row["accuracy"]["n"] == 2
    assert done.stderr.splitlines() == [
        "WARNING: 1 file not read: .heic is not read (1): bolt/IMG_1.heic",
        f"WARNING: left out: {photos}/bolt/broken.jpg: got an empty file, expected a picture",
    ]


def start_bench(bundle: Path, *arguments: str, program: tuple[str, ...] = ("-m", "linnet_runtime.cli")) -> Popen[str]:
    command = [sys.executable, *program, "bench", str(bundle), "--device", "fake", *arguments]
    return Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def child_of(bench: Popen[str]) -> Path:
    """The directory in /proc of the process that measures, as soon as it is there."""
    children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
    while not (found := children.read_text().split()):
        assert bench.poll() is None
    return Path("/proc", found[0])


def wait_for_end(process: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    with contextlib.suppress(FileNotFoundError):
        while (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z":  # an orphan that nobody has reaped
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_bench_that_is_killed_takes_its_child_along(small_bundle: Path) -> None:
    with start_bench(small_bundle) as bench:
        child = child_of(bench)
        while b"linnet_runtime.bench.measure" not in (child / "cmdline").read_bytes():
            assert bench.poll() is None
        bench.kill()
    wait_for_end(child)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_command_in_one_line(number: signal.Signals, status: int, small_bundle: Path) -> None:
    with start_bench(small_bundle) as bench:
        child = child_of(bench)
        bench.send_signal(number)
        _, errors = bench.communicate()
    assert (bench.returncode, errors.strip()) == (status, f"error: stopped by {number.name}")
    wait_for_end(child)


def test_a_signal_that_is_ignored_stays_so(small_bundle: Path) -> None:
    """As nohup has it."""
    program = (
        "import signal, sys\nfrom linnet_runtime.cli import main\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nsys.exit(main(sys.argv[1:]))"
    )
    with start_bench(small_bundle, "--quick", program=("-c", program)) as bench:
        child_of(bench)
        bench.send_signal(signal.SIGHUP)
        output, errors = bench.communicate()
    assert (bench.returncode, errors) == (0, "")
    assert "fake" in output


def test_each_scope_is_a_separate_row_with_the_time_of_each_stage(small_bundle: Path) -> None:
    done = linnet("bench", small_bundle, "--device", "fake", "--quick", "--scope", "live,frame,invoke", "--json")
    invoke, frame, live = json.loads(done.stdout)["results"]
    assert [row["scope"] for row in (invoke, frame, live)] == ["invoke", "frame", "live"]
    assert invoke["stages_ms"] is None
    assert set(frame["stages_ms"]) == {"preprocess", "inference", "decision"}
    assert set(live["stages_ms"]) == {"wait", "preprocess", "inference", "decision"}
    assert frame["latency_ms"]["min"] >= sum(frame["stages_ms"][stage]["min"] for stage in frame["stages_ms"])
    assert live["throughput_fps"] <= 31  # of a camera of 30 frames/s


def test_frames_are_photos_where_there_are_any(small_bundle: Path, tmp_path: Path) -> None:
    photo_of_class(tmp_path / "photos", "bolt/0.png")
    (tmp_path / "photos" / "bolt" / "broken.jpg").touch()
    arguments = ("--device", "fake", "--quick", "--scope", "frame", "--json")
    photos, rendered = (
        json.loads(linnet("bench", small_bundle, *arguments, *data).stdout)["results"][0]
        for data in (("--data", tmp_path / "photos"), ())
    )
    assert (photos["pictures"], photos["accuracy"]["n"]) == ("photos", 1)
    assert (rendered["pictures"], rendered["accuracy"]) == ("rendered 640x480", None)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--scope", "invoke,tensor"), "--scope: got 'tensor', expected one or more of invoke, frame, live"),
        (("--quick", "--profile", "mlperf"), "--quick: got --profile too, expected one of them"),
    ],
)
def test_wrong_options_are_one_line(small_bundle: Path, arguments: tuple[str, ...], line: str) -> None:
    done = linnet("bench", small_bundle, "--device", "fake", *arguments, status=2)
    assert line in one_line_error(done)


def test_a_bench_that_is_stopped_prints_the_rows_so_far_and_says_so(small_bundle: Path) -> None:
    with start_bench(small_bundle, "--scope", "invoke,frame,live", "--quick", "--json") as bench:
        first = child_of(bench)
        while child_of(bench) == first:
            time.sleep(0.01)
        bench.send_signal(signal.SIGTERM)
        output, errors = bench.communicate()
    report = json.loads(output)
    assert report["interrupted"]
    assert report["results"][0]["scope"] == "invoke"
    assert len(report["results"]) < 3
    assert errors.strip() == "error: stopped by SIGTERM"
