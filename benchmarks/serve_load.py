"""``linnet serve`` under more load than it can answer: what accepted requests then take, and what is refused.

    python benchmarks/serve_load.py BUNDLE

A client alone, which gets at least half of what the server can answer, then requests at four times its rate, whether
or not the ones before are answered. The picture is a frame of the rendered belt, a JPEG of 640x480.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
from common import Row, arguments, report

from linnet_runtime.synthetic.conveyor import conveyor_frames

CLIENTS = 16
ALONE_S = 5.0


class Load:
    """Requests of several threads, each with a connection of its own: their statuses and their milliseconds."""

    def __init__(self, address: str, body: bytes) -> None:
        self.statuses: Counter[int] = Counter()
        self.accepted_ms: list[float] = []
        self.errors = 0
        self._address, self._body = address, body
        self._lock = threading.Lock()

    def run(self, clients: int, wait: Callable[[], bool]) -> None:
        """Each client asks again and again, as long as ``wait``, which it calls before, returns True."""
        with ThreadPoolExecutor(clients) as pool:
            for done in [pool.submit(self._client, wait) for _ in range(clients)]:
                done.result()

    def _client(self, wait: Callable[[], bool]) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        while wait():
            started = time.perf_counter()
            try:
                connection.request("POST", "/v1/classify", self._body)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                with self._lock:
                    self.errors += 1
                continue
            milliseconds = (time.perf_counter() - started) * 1e3
            with self._lock:
                self.statuses[response.status] += 1
                if response.status == 200:
                    self.accepted_ms.append(milliseconds)
        connection.close()

    def row(self, what: str, seconds: float) -> Row:
        """The figures as a row of the table."""
        p50, p99 = np.percentile(self.accepted_ms, [50, 99]) if self.accepted_ms else (0.0, 0.0)
        other = sum(self.statuses.values()) - self.statuses[200] - self.statuses[503] + self.errors
        rate = sum(self.statuses.values()) / seconds
        figures: Row = {"load": what, "requests/s": rate, "accepted": self.statuses[200], "503": self.statuses[503]}
        return figures | {"errors": other, "p50 ms": float(p50), "p99 ms": float(p99)}


def until(seconds: float) -> Callable[[], bool]:
    """True for so many seconds."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


def at_rate(rate: float, seconds: float) -> Callable[[], bool]:
    """Waits for the next request's time, of ``rate`` in a second, for so many seconds."""
    started, numbers, lock = time.monotonic(), itertools.count(), threading.Lock()

    def wait() -> bool:
        with lock:
            due = started + next(numbers) / rate
        time.sleep(max(0.0, due - time.monotonic()))
        return due < started + seconds

    return wait


def resident_mb(process: int) -> float:
    """Resident memory of a process in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def measure(address: str, process: int, seconds: float) -> tuple[list[Row], list[Row]]:
    """The rows of the two loads, and those of memory."""
    frame, _ = next(iter(conveyor_frames(0, 1, (480, 640), 30)))
    body = cv2.imencode(".jpg", frame)[1].tobytes()
    Load(address, body).run(1, until(1.0))  # warms up
    alone = Load(address, body)
    alone.run(1, until(ALONE_S))
    rate = len(alone.accepted_ms) / ALONE_S
    twice = Load(address, body)
    loading = threading.Thread(target=twice.run, args=(CLIENTS, at_rate(4 * rate, seconds)))
    loading.start()
    time.sleep(seconds / 6)
    early_mb = resident_mb(process)
    loading.join()
    memory: Row = {"memory": "server", "early MiB": early_mb, "end MiB": resident_mb(process)}
    rows = [alone.row("one client", ALONE_S), twice.row("four times its rate", seconds)]
    ratio: Row = {"figure": "p99 of accepted, compared with one client's"}
    ratio["times"] = float(np.percentile(twice.accepted_ms, 99) / np.percentile(alone.accepted_ms, 99))
    return rows, [memory, ratio]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--device", default="cpu:litert")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the load is twice the capacity")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "linnet_runtime.cli", "serve", str(chosen.bundle), "--port", "0"]
    command += ["--device", chosen.device, "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            started = server.stdout.readline() if server.stdout else ""
            address = urlsplit(json.loads(started)["serving"]).netloc
            loads, (memory, ratio) = measure(address, server.pid, chosen.seconds)
        finally:
            server.terminate()
    report({"Load": loads, "Memory": [memory], "Ratio": [ratio]}, chosen.out)


if __name__ == "__main__":
    main()
