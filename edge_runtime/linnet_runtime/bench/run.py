"""The rows of a benchmark, one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import msgspec

from linnet_runtime.bench.measure import Job


def run_jobs(jobs: list[Job], pixels: bytes = b"") -> Iterator[dict[str, object]]:
    """Measures each job in a separate process. A row is as ``measure`` returns it, or has "device", "precision" and
    "error" where the job could not be run.

    Args:
        jobs: the measurements.
        pixels: the photos of the jobs' labels, uint8 RGB [N, H, W, 3] of the model's size.
    """
    for job in jobs:
        child = _run_child(job, pixels)
        try:
            row: dict[str, object] = msgspec.json.decode(child.stdout)
        except msgspec.DecodeError:
            last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
            row = {"error": f"the process ended with status {child.returncode}: {' '.join(last)}"}
        yield {"device": job.device, "precision": job.precision, **row}


def _run_child(job: Job, pixels: bytes) -> subprocess.CompletedProcess[bytes]:
    life, held = os.pipe()  # the child ends when the pipe closes, as it does when this process is killed
    try:
        return subprocess.run(
            [sys.executable, "-m", "linnet_runtime.bench.measure", str(life)],
            input=b"\n".join((msgspec.json.encode(job), pixels)),
            capture_output=True,
            pass_fds=[life],
            check=False,
        )
    finally:
        os.close(life)
        os.close(held)
