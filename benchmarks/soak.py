"""``linnet serve`` with a camera, a broker, metrics and an open page for a very long time: does it stay the same?

    python benchmarks/soak.py BUNDLE                     # 1,000,000 frames
    python benchmarks/soak.py BUNDLE --frames 50000

The camera is an endless loop of rendered frames, 640x480, given as fast as they are labelled; it comes in as a source
of a plug-in. The broker is mosquitto, on the loopback interface. The first sample is taken after 10,000 frames. From
then on resident memory may grow by 2 %, open files and threads may not change, and in the end each sink has to have
delivered or counted each result; else the exit status is 1.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common import Row, arguments, report

STARTED = 10_000
AIM = 0.02  # resident memory, after the first sample
SOURCE = """
from itertools import cycle

from linnet_runtime.sources import Frame
from linnet_runtime.synthetic.conveyor import conveyor_frames


class Loop:
    live, every_frame, skipped = False, True, 0

    def __init__(self):
        self._pictures = cycle([picture for picture, _ in conveyor_frames(0, 50, (480, 640), 30)])

    def read(self):
        return Frame(next(self._pictures))

    def close(self):
        pass


def open_loop(uri):
    return Loop()
"""


def add_plugin(folder: Path) -> None:
    """A distribution whose entry point opens ``loop:``, without installing it."""
    info = folder / "soak-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: soak\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[linnet.sources]\nloop = soak_source:open_loop\n")
    (folder / "soak_source.py").write_text(SOURCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_broker(folder: Path, port: int) -> subprocess.Popen[bytes]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        sys.exit("error: no mosquitto. Fix: apt install mosquitto")
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n")
    broker = subprocess.Popen([program, "-c", str(settings)])
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return broker
        time.sleep(0.1)
    sys.exit("error: mosquitto does not listen after 10 s")


def frame_counts(address: str) -> Iterator[int]:
    """Does what an open page does, until the server ends: it receives the states, and fetches a picture after each.
    Gives how many frames have been classified.
    """
    states, pictures = (http.client.HTTPConnection(address, timeout=60) for _ in range(2))
    states.request("GET", "/live/stream")
    for line in states.getresponse():
        if line.startswith(b"data: "):
            pictures.request("GET", "/live/picture?camera=")
            pictures.getresponse().read()
            yield json.loads(line.removeprefix(b"data: "))["counters"].get("frames_classified", 0)


def sample(process: int, frames: int) -> Row:
    status = Path(f"/proc/{process}/status").read_text()
    kilobytes, threads = (int(re.findall(rf"^{key}:\s+(\d+)", status, re.MULTILINE)[0]) for key in ("VmRSS", "Threads"))
    files = len(list(Path(f"/proc/{process}/fd").iterdir()))
    return {"frames": frames, "resident MiB": kilobytes / 1024, "open files": files, "threads": threads}


def watch(address: str, process: int, frames: int) -> list[Row]:
    """A sample after ``STARTED`` frames and after each tenth of the rest."""
    rows: list[Row] = []
    first = min(STARTED, frames // 2)
    due = [first + (frames - first) * tenth // 10 for tenth in range(11)]
    for done in frame_counts(address):
        if done >= due[len(rows)]:
            rows.append(sample(process, done))
            if len(rows) == len(due):
                return rows
    sys.exit("error: the server has ended")


def lost(summary: dict[str, Any]) -> dict[str, int]:
    """By each sink, how many results and events it neither delivered nor counted."""
    taken = {name: sum(counters.values()) for name, counters in summary["sinks"].items()}
    given = max(summary["frames_classified"], *taken.values())
    return {name: given - count for name, count in taken.items()}


def faults(rows: list[Row], growth: float, unaccounted: dict[str, int]) -> list[str]:
    """What has not stayed the same, a line each."""
    found = []
    if growth > AIM:
        found.append(f"resident memory: it has grown by {growth:.1%}, at most {AIM:.0%} was expected")
    for what in ("open files", "threads"):
        counts = [row[what] for row in rows]
        if len(set(counts)) > 1:
            found.append(f"{what}: {counts}, expected one number")
    found += [f"sink {name}: {count} results or events are lost" for name, count in unaccounted.items() if count]
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--frames", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        add_plugin(folder)
        broker = start_broker(folder, port)
        path = os.pathsep.join(filter(None, (name, os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "linnet_runtime.cli", "serve", str(chosen.bundle), "--port", "0"]
        command += ["--device", "cpu:litert", "--threads", "1", "--source", "loop:"]
        command += ["--mqtt", f"mqtt://127.0.0.1:{port}", "--metrics", str(free_port())]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path})
        try:
            address = urlsplit(json.loads(server.stdout.readline())["serving"]).netloc if server.stdout else ""
            rows = watch(address, server.pid, chosen.frames)
            server.terminate()
            summary = json.loads(server.communicate(timeout=60)[0])["summary"]["cameras"]
        finally:
            server.kill()
            server.wait()
            broker.terminate()
            broker.wait()
    unaccounted = lost(summary)
    first, *later = (float(row["resident MiB"]) for row in rows)
    growth = max(later) / first - 1
    figures: Row = {"figure": f"growth of resident memory; the aim is at most {AIM}", "share": growth}
    outcomes = sorted({outcome for counters in summary["sinks"].values() for outcome in counters})
    sinks: list[Row] = [
        {"sink": name} | {outcome: counters.get(outcome, 0) for outcome in outcomes} | {"lost": unaccounted[name]}
        for name, counters in summary["sinks"].items()
    ]
    report({"Samples": rows, "Memory": [figures], "Results and events": sinks}, chosen.out)
    found = faults(rows, growth, unaccounted)
    sys.exit("\n".join(f"error: {fault}" for fault in found) or None)


if __name__ == "__main__":
    main()
