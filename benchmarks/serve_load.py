"""``linnet serve`` under twice the load that it can answer: what accepted requests then take, and what is refused.

    python benchmarks/serve_load.py BUNDLE

1. One client, which sends its next request when it is answered: the time of a request without load.
2. The capacity: the most answers a second that such clients get, of two, three and four of them.
3. Exactly twice the capacity, at random times, whether or not the requests before are answered.

The picture is a frame of the rendered belt, a JPEG of 640x480. Server and client share the machine's cores.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
from common import Row, arguments, report
from http_load import Answers, load

from linnet_runtime.synthetic.conveyor import conveyor_frames

CLIENTS = (2, 3, 4)
CONNECTIONS = 64
ALONE_S, CAPACITY_S = 10.0, 3.0


def request_with_picture(host: str) -> bytes:
    """A request of ``POST /v1/classify``."""
    frame, _ = next(iter(conveyor_frames(0, 1, (480, 640), 30)))
    picture = cv2.imencode(".jpg", frame)[1].tobytes()
    return f"POST /v1/classify HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(picture)}\r\n\r\n".encode() + picture


def resident_mb(process: int) -> float:
    """Resident memory of a process in MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def processor_s(process: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(what: str, answers: Answers) -> Row:
    refused, accepted = answers.count(503), answers.count(200)
    other = sum(map(len, answers.milliseconds.values())) - accepted - refused
    return {
        "load": what,
        "requests/s": (accepted + refused) / answers.seconds,
        "accepted/s": accepted / answers.seconds,
        "503": refused,
        "errors": answers.errors + other,
        "p50 ms": answers.percentile(50),
        "p99 ms": answers.percentile(99),
    }


def measure(address: tuple[str, int], process: int, seconds: float) -> dict[str, list[Row]]:
    """The tables."""
    request = request_with_picture(f"{address[0]}:{address[1]}")
    load(address, request, seconds=1.0, clients=1)  # warms up
    alone = load(address, request, seconds=ALONE_S, clients=1)
    closed = {clients: load(address, request, seconds=CAPACITY_S, clients=clients) for clients in CLIENTS}
    most = max(CLIENTS, key=lambda clients: closed[clients].count(200))
    capacity = closed[most].count(200) / CAPACITY_S

    early: list[float] = []
    timer = threading.Timer(seconds / 6, lambda: early.append(resident_mb(process)))
    timer.start()
    used, own = processor_s(process), time.process_time()
    twice = load(address, request, seconds=seconds, clients=CONNECTIONS, rate=2 * capacity)
    shares = {"server": processor_s(process) - used, "client": time.process_time() - own}
    timer.join()
    loads = [row("one client", alone), row(f"capacity: {most} clients", closed[most]), row("twice the capacity", twice)]
    figures: dict[str, float] = {
        "p99 of accepted, times that of one client": twice.percentile(99) / alone.percentile(99),
        "memory after a sixth of the time, MiB": early[0],
        "memory at the end, MiB": resident_mb(process),
        "the client's latest request, ms": twice.latest_ms,
        **{f"processor of the {who}, cores": used_s / seconds for who, used_s in shares.items()},
    }
    return {"Load": loads, "Twice the capacity": [{"what": what, "figure": figure} for what, figure in figures.items()]}


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
            served = urlsplit(json.loads(started)["serving"])
            tables = measure((served.hostname or "", served.port or 0), server.pid, chosen.seconds)
        finally:
            server.terminate()
    report(tables, chosen.out)


if __name__ == "__main__":
    main()
