"""The log: bounded, whole lines only, and a full disk that is counted."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from linnet_runtime.results import Event
from linnet_runtime.sinks import QueuedSink, SinkError, Stream
from linnet_runtime.sinks.log import Log
from linnet_runtime.sinks.settings import LogSettings
from linnet_runtime.testing.sink_conformance import SinkConformance, sample_result

EVENT = Event("change", 5.0, "belt", label="nut", previous="bolt", reason='a comma, a "quote"')


class TestJsonLog(SinkConformance):
    def open_sink(self, folder: Path) -> Log:
        return Log(LogSettings(path=str(folder / "log.jsonl")), Stream())


class TestCsvLog(SinkConformance):
    def open_sink(self, folder: Path) -> Log:
        return Log(LogSettings(path=str(folder / "new" / "log.csv")), Stream())


def logged(path: Path, count: int, **settings: object) -> QueuedSink:
    with QueuedSink(Log(LogSettings(path=str(path), **settings), Stream()), wait=True) as sink:  # type: ignore[arg-type]
        for number in range(count):
            sink.put(sample_result(number))
    return sink


def frames(*paths: Path) -> list[int]:
    return [json.loads(line)["frame"] for path in paths for line in path.read_text().splitlines()]


def test_lines_are_those_that_run_prints(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with QueuedSink(Log(LogSettings(path=str(path)), Stream())) as sink:
        sink.put(sample_result(1))
        sink.put(EVENT)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [sample_result(1).to_json(), EVENT.to_json()]


def test_a_table_has_a_header_and_a_row_for_each(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with QueuedSink(Log(LogSettings(path=str(path)), Stream())) as sink:
        sink.put(sample_result(3))
        sink.put(EVENT)
    with path.open(newline="") as file:
        result, event = csv.DictReader(file)
    assert (result["frame"], result["label"], result["event"]) == ("3", "nut", "")
    assert (event["frame"], event["event"], event["reason"]) == ("", "change", 'a comma, a "quote"')


def test_events_alone_are_logged_where_the_settings_say_so(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with QueuedSink(Log(LogSettings(path=str(path), results=False), Stream())) as sink:
        sink.put(sample_result())
        sink.put(EVENT)
    assert len(path.read_text().splitlines()) == 1


def test_a_log_that_exists_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    logged(path, 2)
    logged(path, 2)
    assert [line.partition(",")[0] for line in path.read_text().splitlines()] == ["frame", "0", "1", "0", "1"]


def test_size_and_number_of_files_are_bounded_and_the_newest_lines_are_there(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert logged(path, 200, max_mb=0.002, files=3).delivered == 200
    files = [tmp_path / "log.2.jsonl", tmp_path / "log.1.jsonl", path]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(file.stat().st_size <= 2000 for file in files)
    kept = frames(*files)
    assert kept == list(range(200 - len(kept), 200))


def test_one_file_only_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    logged(path, 50, max_mb=0.001, files=1)
    assert list(tmp_path.iterdir()) == [path]
    assert frames(path)[-1] == 49


def test_every_file_of_a_table_has_a_header(tmp_path: Path) -> None:
    logged(tmp_path / "log.csv", 50, max_mb=0.001, files=3)
    for path in tmp_path.iterdir():
        assert path.read_text().startswith("frame,captured_at,")


def test_a_log_that_somebody_removes_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log.jsonl"
    log = Log(LogSettings(path=str(path)), Stream())
    log.write(sample_result(1))
    shutil.rmtree(path.parent)
    log.write(sample_result(2))
    log.close()
    assert frames(path) == [2]


# A limit of the kernel on the size of a file stands for a full disk: writes fail in the same way, EFBIG for ENOSPC.
_ON_A_FULL_DISK = """
import json, resource, sys, time
from linnet_runtime.sinks import QueuedSink, Stream
from linnet_runtime.sinks.log import Log
from linnet_runtime.sinks.settings import LogSettings
from linnet_runtime.testing.sink_conformance import sample_result
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
sink = QueuedSink(Log(LogSettings(path=sys.argv[1]), Stream()), wait=True)
counted = []
for limit, count in ((1000, 20), (most, 10)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    for number in range(count):
        sink.put(sample_result(number))
    while sink.delivered + sink.failed < 20:
        time.sleep(0.01)
    counted.append(sink.summary())
sink.close()
print(json.dumps([*counted, sink.summary()]))
"""


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_full_disk_is_counted_leaves_whole_lines_and_is_written_again_once_there_is_room(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"log{suffix}"
    done = subprocess.run([sys.executable, "-c", _ON_A_FULL_DISK, path], capture_output=True, text=True, check=True)
    full, _, end = json.loads(done.stdout)
    assert full["failed"] > 0
    assert full["delivered"] + full["failed"] == 20
    assert end["delivered"] == full["delivered"] + 10
    assert end["failed"] == full["failed"]
    assert done.stderr.count("File too large") == 1  # one line for a row of failures
    lines = path.read_text().splitlines()
    assert len(lines) == end["delivered"] + (suffix == ".csv")
    if suffix == ".jsonl":
        assert frames(path)[-10:] == list(range(10))


@pytest.mark.parametrize("name", ["log.txt", "log"])
def test_another_suffix_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(SinkError, match=r"expected NAME.jsonl or NAME.csv"):
        Log(LogSettings(path=str(tmp_path / name)), Stream())


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="expected a place that can be written"):
        Log(LogSettings(path=str(tmp_path / "file" / "log.csv")), Stream())
