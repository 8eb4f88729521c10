"""The rows of a benchmark, one after the other."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import msgspec

from linnet_runtime.bench.conditions import Watch
from linnet_runtime.bench.measure import Job
from linnet_runtime.bench.results import FailedRow, Row, row_of

logger = logging.getLogger("linnet")


def run_jobs(jobs: list[Job], pixels: bytes = b"") -> Iterator[Row | FailedRow]:
    """Measures each job in a separate process. A job that fails, or ends the process, gives a ``FailedRow``.

    Args:
        jobs: the measurements.
        pixels: the photos of the jobs' labels, uint8 RGB [N, H, W, 3] of the model's size.
    """
    for job in jobs:
        row = _run_job(job, pixels)
        if job.profile.repeats_noisy and isinstance(row, Row) and row.conditions and row.conditions.noisy:
            row = _quieter(row, _run_job(job, pixels))
        yield row


def run_child(module: str, job: msgspec.Struct, after: bytes = b"") -> dict[str, object]:
    """Runs a module of this package in a separate process, which reads the job and prints JSON; ``{"error": …}`` where
    it printed none.
    """
    life, held = os.pipe()  # the child ends when the pipe closes, as it does when this process is killed
    try:
        child = subprocess.run(
            [sys.executable, "-m", module, str(life)],
            input=b"\n".join((msgspec.json.encode(job), after)),
            capture_output=True,
            pass_fds=[life],
            check=False,
        )
    finally:
        os.close(life)
        os.close(held)
    try:
        found: dict[str, object] = msgspec.json.decode(child.stdout)
    except msgspec.DecodeError:
        last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        found = {"error": f"the process ended with status {child.returncode}: {' '.join(last)}"}
    return found


def _run_job(job: Job, pixels: bytes) -> Row | FailedRow:
    watch = Watch()
    try:
        found = run_child("linnet_runtime.bench.measure", job, pixels)
    finally:
        conditions = watch.stop()
    if "error" in found:
        found = {"device": job.device, "precision": job.precision, "scope": job.scope, **found}
    row = row_of(found)
    return msgspec.structs.replace(row, conditions=conditions) if isinstance(row, Row) else row


def _quieter(first: Row, second: Row | FailedRow) -> Row:
    """The row that was measured under less load of other programs; the first one if the device has failed since."""
    if isinstance(second, FailedRow):
        logger.warning("%s was measured once only: %s", first.device, second.error)
        return first
    better = min(first, second, key=lambda row: row.conditions.other_load if row.conditions else 0.0)
    return msgspec.structs.replace(better, attempts=2)
