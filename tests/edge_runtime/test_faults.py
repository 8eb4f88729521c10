"""``linnet run`` while the world around it fails: cameras, receivers and the clock, each outside of the process.

Every fault is recovered from and counted, and nothing is mislabelled. The other faults of a live run have tests of
their own: a full disk in ``sinks/test_log.py`` and ``sinks/test_snapshots.py``, a broker that is killed in
``test_run_sinks.py``, accelerators in ``failover/``, a status such as 401 in ``test_damaged_frames.py``, RTSP in
``test_rtsp.py``, and signals in ``test_signals.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.sinks.broker import Broker, Subscriber, free_port, needs_broker
from linnet_devices.testing.faults import compiler
from program import PATIENCE_S, ROOT

Line = dict[str, Any]

# An MJPEG camera whose pictures have the label and the side that a file has at that moment.
_CAMERA = """
import itertools, pathlib, sys, time
from edge_runtime.network_camera import jpeg, network_camera, part
shown = pathlib.Path(sys.argv[1])
def pictures():
    while True:
        yield part(jpeg(*map(int, shown.read_text().split())))
        time.sleep(0.02)
with network_camera(lambda answer, _: answer.stream(pictures()), int(sys.argv[2])):
    time.sleep(3600)
"""


class NetworkCamera:
    """The camera as a process that can be killed, stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._shown = folder / "shown"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def show(self, label: int, side: int = 192) -> None:
        new = self._shown.with_suffix(".new")
        new.write_text(f"{label} {side}")
        new.replace(self._shown)

    def start(self) -> None:
        command = [sys.executable, "-c", _CAMERA, str(self._shown), str(self._port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
        self._process = subprocess.Popen(command, env=environment)
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
                return
            assert self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[NetworkCamera]:
    camera = NetworkCamera(tmp_path)
    camera.show(0)
    camera.start()
    yield camera
    camera.kill()


class Run:
    """``linnet run``, whose lines are read one after the other."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        command = [sys.executable, "-m", "linnet_runtime.cli", "run", *map(str, arguments), "--device", "fake"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )

    def until(self, holds: Callable[[Line], object]) -> list[Line]:
        """The lines up to the first one that is so."""
        lines = []
        assert self.process.stdout is not None
        for text in self.process.stdout:
            lines.append(json.loads(text))
            if holds(lines[-1]):
                return lines
        raise AssertionError(f"the run has ended: {self.process.communicate()[1]}")

    def frames(self, count: int) -> list[Line]:
        """The lines up to so many further results."""
        return [line for _ in range(count) for line in self.until(lambda line: "frame" in line)]

    def end(self) -> tuple[list[Line], Line, str]:
        """Ends it with SIGTERM: the rest of its lines, its summary and its warnings."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        *rest, last = map(json.loads, self.process.stdout.read().splitlines())
        warnings = self.process.stderr.read()
        assert self.process.wait(PATIENCE_S) == 0, warnings
        return rest, last["summary"], warnings


@contextlib.contextmanager
def running(*arguments: object, **environment: str) -> Iterator[Run]:
    run = Run(*arguments, **environment)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.communicate()


def labels_of(lines: list[Line]) -> set[str]:
    return {line["label"] for line in lines if "frame" in line}


def kinds_of(lines: list[Line]) -> list[str]:
    """The events of cameras and devices; those of decisions are in the lines of results."""
    return [line["event"] for line in lines if "frame" not in line]


@pytest.mark.parametrize("fault", ["killed", "stalled"])
def test_a_camera_that_is_killed_or_stalls_is_read_again_in_another_size_and_nothing_is_labelled_meanwhile(
    fault: str, camera: NetworkCamera, small_bundle: Path
) -> None:
    with running(small_bundle, "--source", camera.address) as run:
        before = run.frames(5)
        if fault == "killed":
            camera.kill()
        else:
            camera.signal(signal.SIGSTOP)
        before += run.until(lambda line: line.get("event") == "offline")
        camera.show(2, side=96)
        if fault == "killed":
            camera.start()
        else:
            camera.signal(signal.SIGCONT)
        (online,) = run.until(lambda line: True)
        after = run.frames(5)
        rest, summary, warnings = run.end()
    assert labels_of(before) == {"bolt"}
    assert online["event"] == "online"
    assert labels_of(after + rest) == {"washer"}
    assert kinds_of(before + after + rest) == ["offline"]
    assert summary["source_reopened"] == 1
    assert summary["frames_damaged"] == 0
    assert "source lost: " in warnings


def test_a_camera_that_is_frozen_is_an_event_and_so_is_its_next_picture(
    camera: NetworkCamera, small_bundle: Path
) -> None:
    with running(small_bundle, "--source", camera.address, "--set", "camera.frozen_s=0.5") as run:
        frozen = run.until(lambda line: line.get("event") == "frozen")[-1]
        camera.show(1)
        moving = run.until(lambda line: line.get("event") == "moving")[-1]
        run.until(lambda line: line.get("label") == "nut")
        run.end()
    assert "byte for byte" in frozen["reason"]
    assert moving["at"] > frozen["at"]


def test_a_webhook_that_hangs_delays_neither_the_stream_nor_its_end_and_what_it_loses_is_counted(
    small_bundle: Path,
) -> None:
    """The server accepts connections, as its system does by itself, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        webhook = ("--set", f"webhook.url={url}", "--set", "webhook.results=true", "--set", "webhook.timeout_s=1")
        with running(small_bundle, "--source", "synthetic:?fps=50", *webhook) as run:
            run.frames(300)
            _, summary, warnings = run.end()
    counted = summary["sinks"]["webhook"]
    assert counted["delivered"] == 0
    assert counted["dropped"] + counted["failed"] >= summary["frames_classified"] >= 300
    assert summary["sinks"]["json_lines"]["delivered"] >= 300
    assert f"the sink webhook: {url}" in warnings


# The system's clock is an hour behind while a file is there. Python asks libc for it.
_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    const char *file = getenv("CLOCK_IS_BACK");
    if (!failed && clock == CLOCK_REALTIME && file && access(file, F_OK) == 0) now->tv_sec -= 3600;
    return failed;
}
"""


@needs_broker
@pytest.mark.skipif(compiler() is None, reason="no C compiler: apt install gcc")
def test_a_clock_that_is_stepped_back_an_hour_changes_nothing_but_the_times(small_bundle: Path, tmp_path: Path) -> None:
    """Ages, intervals, decisions, the log, pictures and the broker's connection go by another clock."""
    library, back = tmp_path / "clock.so", tmp_path / "back"
    build = [str(compiler()), "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
    subprocess.run(build, input=_CLOCK.encode(), check=True)
    log, pictures = tmp_path / "log.jsonl", tmp_path / "pictures"
    settings = [f"log.path={log}", f"snapshots.folder={pictures}", "snapshots.below=1.0", "mqtt.id=shed"]
    more = [part for setting in settings for part in ("--set", setting)]
    with Broker(tmp_path) as broker:
        arguments = ("--source", "synthetic:", "--interval", "0.1", "--mqtt", broker.url, *more)
        environment = {"LD_PRELOAD": str(library), "CLOCK_IS_BACK": str(back)}
        with running(small_bundle, *arguments, **environment) as run:
            before = run.frames(10)
            back.touch()
            run.until(lambda line: line["captured_at"] < before[0]["captured_at"] - 3000)
            after = run.frames(10)
            topic = "linnet/shed/camera/label"
            with Subscriber(broker.port, topic) as subscriber:
                subscriber.wait_for(topic, 3)  # its interval is a second; the first may be the one that was retained
            rest, summary, warnings = run.end()
    assert before[-1]["captured_at"] - after[0]["captured_at"] > 3000
    for line in before + after + rest:
        assert 0 <= line["age_ms"] < 1e3 * PATIENCE_S
        assert all(0 <= ms < 1e3 * PATIENCE_S for ms in line["stages_ms"].values())
    assert 0 < summary["seconds"] < PATIENCE_S
    assert 0 <= summary["last_frame_age_s"] < PATIENCE_S
    assert kinds_of(after + rest) == []
    logged = [line["frame"] for line in map(json.loads, log.read_text().splitlines()) if "frame" in line]
    assert logged == list(range(1, summary["frames_classified"] + 1))
    names = sorted(path.name for path in pictures.glob("*/*.jpg"))
    assert [int(name[:8]) for name in names] == list(range(1, len(names) + 1))
    assert [counters["failed"] for counters in summary["sinks"].values()] == [0, 0, 0, 0]
    assert warnings == ""
