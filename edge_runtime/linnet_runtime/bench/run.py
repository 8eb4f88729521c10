"""The rows of a benchmark, one after the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import msgspec

from linnet_runtime.bench.measure import Job


def run_jobs(jobs: list[Job]) -> Iterator[dict[str, object]]:
    """Measures each job in a fresh process and gives its row, or ``{"device", "error"}`` where it could not be run."""
    for job in jobs:
        child = subprocess.run(
            [sys.executable, "-m", "linnet_runtime.bench.measure"],
            input=msgspec.json.encode(job),
            capture_output=True,
            check=False,
        )
        try:
            row: dict[str, object] = msgspec.json.decode(child.stdout)
        except msgspec.DecodeError:
            last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
            row = {"error": f"the process ended with status {child.returncode}: {' '.join(last)}"}
        yield {"device": job.device, "precision": job.precision, **row}
