"""The view for a person, as text."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edge_runtime.network_camera import Answer, jpeg, network_camera, part
from linnet_runtime.results import Event
from linnet_runtime.sinks import QueuedSink, Stream, terminal
from linnet_runtime.sinks.settings import TerminalSettings
from linnet_runtime.sinks.terminal import Terminal
from linnet_runtime.testing.sink_conformance import SinkConformance, sample_result
from program import PATIENCE_S

STATISTICS: dict[str, Any] = {
    "frames_classified": 120,
    "frames_dropped": 7,
    "fps": 14.96,
    "sinks": {"mqtt": {"delivered": 9, "dropped": 2, "failed": 1}, "log": {"delivered": 9, "dropped": 0, "failed": 0}},
}


def console() -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=False)


class TestTerminal(SinkConformance):
    def open_sink(self, folder: Path) -> Terminal:
        return Terminal(TerminalSettings(), Stream(), console())


def drawn(sink: Terminal) -> str:
    page = Console(file=io.StringIO(), width=100, record=True)
    page.print(sink.view())
    return page.export_text()


@pytest.fixture
def view() -> Any:
    sink = Terminal(TerminalSettings(labels=2), Stream(statistics=lambda: STATISTICS), console())
    yield sink
    sink.close()


def test_it_waits_for_the_first_frame(view: Terminal) -> None:
    assert "waiting for the first frame" in drawn(view)


def test_it_shows_label_bars_age_device_drops_and_what_sinks_lost(view: Terminal) -> None:
    view.write(sample_result(1, "nut", 0.9, camera=""))
    text = drawn(view)
    assert "nut 90%" in text
    assert "12 ms old" in text
    assert "cpu:litert" in text
    assert "90.0%" in text
    assert "━" in text
    assert text.count("5.0%") == 1  # two bars were asked for
    assert "120 frames" in text
    assert "15.0 a second" in text
    assert "7 dropped" in text
    assert "mqtt lost 3" in text
    assert "log lost" not in text


def test_it_shows_each_camera_and_region_and_the_last_events(view: Terminal) -> None:
    view.write(sample_result(1, "nut", camera="belt", region="left"))
    view.write(sample_result(1, "unknown", 0.2, camera="door"))
    for number in range(9):
        view.write(Event("change", float(number), "belt", label=f"label {number}", previous="bolt"))
    text = drawn(view)
    assert "belt left: nut" in text
    assert "door: unknown" in text
    assert "bolt -> label 8" in text
    assert "label 3" not in text


def test_a_stream_that_stands_still_is_seen(view: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_STALE_S", 0.0)
    view.write(sample_result(1, camera=""))
    assert "no result for 0 s" in drawn(view)


def screen_of(output: str) -> list[str]:
    """The lines that a terminal shows after this output; it knows the few commands that Rich uses here."""
    lines, row, column = [""], 0, 0
    for command, text in re.findall(r"\x1b\[([?0-9;]*[A-Za-z])|([^\x1b])", output):
        if command.endswith("A"):
            row = max(0, row - int(command[:-1] or 1))
        elif command == "2K":
            lines[row] = ""
        elif text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def test_warnings_of_a_run_stand_above_the_view_and_not_in_it(small_bundle: Path) -> None:
    """The camera breaks off once the view is drawn, and is back later."""
    drawn, done = threading.Event(), threading.Event()

    def camera(answer: Answer, number: int) -> None:
        def parts() -> Iterator[bytes]:
            while not (done.is_set() or (drawn.is_set() and number == 1)):
                yield part(jpeg(number))
                done.wait(0.02)

        answer.stream(parts())

    with network_camera(camera) as address:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "linnet_runtime.cli", "run", str(small_bundle), "--device", "fake", "--watch"]
        environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
        with subprocess.Popen(
            [*command, "--source", f"http://{address}/?timeout={PATIENCE_S}"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
        ) as process:
            os.close(theirs)
            output = b""
            with contextlib.suppress(OSError), open(ours, "rb", buffering=0) as terminal:  # noqa: PTH123  # its end is an error
                while data := terminal.read(4096):
                    output += data
                    if b"a second" in output:
                        drawn.set()
                    if b"opened again" in output and b"washer" in output:
                        process.send_signal(signal.SIGTERM)
        done.set()
    assert process.returncode == 0
    screen = screen_of(output.decode())
    lost, back = (i for i, line in enumerate(screen) if line.startswith("WARNING: source "))
    (counters,) = (i for i, line in enumerate(screen) if re.match(r"\d+ frames ", line))
    assert "\n".join(screen).count("WARNING") == 2
    assert lost < back < counters


def test_what_is_drawn_reaches_the_terminal_and_the_last_view_stays() -> None:
    file = io.StringIO()
    sink = Terminal(TerminalSettings(), Stream(), Console(file=file, width=100, force_terminal=True))
    with QueuedSink(sink) as queued:
        queued.put(sample_result(1, "washer", camera=""))
    assert "washer" in file.getvalue()
    for thread in threading.enumerate():
        if "Refresh" in type(thread).__name__:  # Rich has told it to end
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
