"""One row of the benchmark, measured in a separate process so that its memory and load time are that row's alone.

Run as ``python -m linnet_runtime.bench.measure LIFE`` with a ``Job`` as a line of JSON on standard input, and behind it
the photos' pixels. It prints the row as JSON, or ``{"error": …}`` with exit status 1. LIFE is the descriptor of a pipe
that closes when the parent ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, Logits, OpenOptions, Pixels
from linnet_devices.isolated import IsolatedSession
from linnet_devices.lifeline import end_with
from linnet_devices.registry import probe
from linnet_runtime.bundle import open_bundle
from linnet_runtime.photos import Photos
from linnet_runtime.proof.intervals import latency_summary
from linnet_runtime.sessions import PrecisionChoice, open_session

_PICTURES = 16  # too many for a cache to hold the answers
_FEWEST_RUNS = 20


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measurement."""

    bundle: str
    """The bundle's folder."""
    device: str
    precision: PrecisionChoice
    threads: int | None
    """The number of threads of a CPU engine; None for the engine's default."""
    labels: tuple[int, ...]
    """The label of each photo on standard input, an index into the model's labels; without photos no accuracy is
    measured."""
    warm_up_s: float
    """Seconds before the measurement."""
    measure_s: float
    """Seconds of the measurement."""


def measure(job: Job, photos: BinaryIO) -> dict[str, object]:
    """Opens the bundle, warms it up, times one picture at a time and then classifies the photos."""
    bundle = open_bundle(Path(job.bundle))
    size = (_PICTURES, bundle.preprocess.height, bundle.preprocess.width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    started = time.perf_counter()
    with open_session(bundle, job.device, precision=job.precision, options=OpenOptions(job.threads)) as session:
        loaded = time.perf_counter()
        session.run(pictures[:1])
        first = time.perf_counter()
        _time_runs(session.run, pictures, job.warm_up_s)
        latencies = _time_runs(session.run, pictures, job.measure_s)
        # Noted before the photos are read, which a device would not hold in memory.
        peak_rss_mb = _peak_rss_mb("self") + (_peak_rss_mb(session.pid) if isinstance(session, IsolatedSession) else 0)
        tier = probe(session.device).tier
        times = {
            "latency_ms": latency_summary(latencies),
            "throughput_fps": float(len(latencies) / latencies.sum()),
            "load_ms": (loaded - started) * 1e3,
            "first_ms": (first - loaded) * 1e3,
        }
        return {
            "device": session.device,
            "tier": tier,
            "artifact": Path(session.model.path).name,
            "precision": session.model.precision,
            "threads": job.threads,
            "state": "warm",
            "runs": len(latencies),
            **(dict.fromkeys(times) if tier == "simulator" else times),  # they say nothing about the hardware
            "peak_rss_mb": peak_rss_mb,
            "accuracy": _accuracy(session.run, _read_photos(photos, job, size[1:])) if job.labels else None,
        }


def _time_runs(run: Callable[[Pixels], Logits], pictures: Pixels, seconds: float) -> NDArray[np.float64]:
    """The time of each run in seconds, one picture at a time, until ``seconds`` have passed."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _FEWEST_RUNS or time.perf_counter() < end:
        picture = pictures[len(times) % len(pictures)][None]
        started = time.perf_counter()
        run(picture)
        times.append(time.perf_counter() - started)
    return np.array(times)


def _read_photos(file: BinaryIO, job: Job, shape: tuple[int, ...]) -> Photos:
    pixels = np.frombuffer(file.read(), np.uint8).reshape(len(job.labels), *shape)
    return Photos(pixels, np.array(job.labels, np.int64))


def _accuracy(run: Callable[[Pixels], Logits], photos: Photos) -> dict[str, float]:
    best_five = np.argsort(-run(photos.pixels), axis=1, kind="stable")[:, :5]
    correct = best_five == photos.labels[:, None]
    return {"top1": float(correct[:, 0].mean()), "top5": float(correct.any(axis=1).mean()), "n": len(photos)}


def _peak_rss_mb(process: int | str | None) -> float:
    """The peak resident memory of a process in MiB. getrusage's figure would begin with the parent's."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LinnetError(f"/proc/{process}/status", got="no VmHWM", expected="a Linux kernel's")


def main() -> int:
    """Reads a job, prints its row and returns the exit status."""
    end_with(int(sys.argv[1]))
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    try:
        row = measure(job, sys.stdin.buffer)
    except LinnetError as error:
        row = {"error": error.line(options=True)}
    sys.stdout.buffer.write(msgspec.json.encode(row))
    return 1 if "error" in row else 0


if __name__ == "__main__":
    sys.exit(main())
