"""Signals that end ``linnet run`` and ``linnet serve`` at any point of a run: the summary, status 0, nothing left."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from accelerators import Accelerators
from edge_runtime.sinks.broker import until
from edge_runtime.test_command_run import SUMMARY
from program import PATIENCE_S

POINTS = 10  # of a start, and one more behind it
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
SERVED = {"requests", "answered", "refused", "failed"}


def start(*arguments: object) -> subprocess.Popen[str]:
    """``linnet`` in a session of its own, once Python has begun to run it: no program can take signals before."""
    command = [sys.executable, "-m", "linnet_runtime.cli", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until(lambda: all(catches(process, number) for number in SIGNALS) or process.poll() is not None)
    return process


def catches(process: subprocess.Popen[str], number: signal.Signals) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


def session_of(process: subprocess.Popen[str]) -> list[str]:
    """The processes that are left of a program's session."""
    left = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = path.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, session = fields.split()[0], int(fields.split()[3])
        if session == process.pid and state != "Z":
            left.append(name)
    return left


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[list[Any], dict[str, Any]]:
    """Sends a signal: the lines before the summary, and the summary."""
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, ""), (number, output)
    *lines, last = map(json.loads, output.splitlines())
    assert set(last) == {"summary"}
    until(lambda: not session_of(process))
    return lines, last["summary"]


@pytest.mark.parametrize(
    ("command", "keys"),
    [(("run", "--source", "synthetic:"), SUMMARY), (("serve", "--port", "0"), SERVED)],
    ids=["run", "serve"],
)
def test_a_signal_at_any_point_of_a_start_ends_with_the_summary(
    command: tuple[str, ...], keys: set[str], small_bundle: Path
) -> None:
    """The points are spread over the time that a start takes here: imports, opening, the first results."""
    arguments = (command[0], small_bundle, *command[1:], "--device", "fake")
    process = start(*arguments)
    began = time.monotonic()
    assert process.stdout is not None
    first = process.stdout.readline()
    whole_s = time.monotonic() - began
    assert set(json.loads(first)) & {"frame", "serving"}
    ended(process, signal.SIGTERM)
    for point in range(POINTS + 1):
        process = start(*arguments)
        time.sleep(whole_s * point / POINTS)
        lines, summary = ended(process, SIGNALS[point % len(SIGNALS)])
        assert set(summary) == keys
        if command[0] == "run":
            assert summary["frames_classified"] == len(lines)


def test_a_signal_while_an_accelerator_hangs_in_its_opening_ends_with_the_summary(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerators = Accelerators(tmp_path / "accelerators", monkeypatch)
    accelerators.fail("hang")
    for command in (("run", "--source", "synthetic:"), ("serve", "--port", "0")):
        opened = len(accelerators.opened())
        process = start(command[0], small_bundle, *command[1:], "--device", "first")
        until(lambda opened=opened: len(accelerators.opened()) > opened)  # type: ignore[misc]
        lines, summary = ended(process, signal.SIGTERM)
        assert lines == []
        assert set(summary) == (SUMMARY if command[0] == "run" else SERVED)


def test_a_signal_while_a_source_hangs_in_its_opening_ends_with_the_summary(small_bundle: Path) -> None:
    """The camera accepts the connection and never answers; it is given up after its time-out at the latest."""
    with socket.create_server(("127.0.0.1", 0)) as camera:
        uri = f"http://127.0.0.1:{camera.getsockname()[1]}/?timeout={PATIENCE_S}"
        process = start("run", small_bundle, "--device", "fake", "--source", uri)
        connection, _ = camera.accept()
        with connection:
            lines, summary = ended(process, signal.SIGTERM)
    assert lines == []
    assert set(summary) == SUMMARY
