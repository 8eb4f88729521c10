"""The rows of a benchmark one after the other, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


def host() -> dict[str, object]:
    """The machine: without it a latency says nothing."""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The processor's name, as Linux tells it: x86 calls it "model name", the Raspberry Pi's kernel "Model"."""
    for path, key in (("/proc/cpuinfo", "model name"), ("/proc/cpuinfo", "Model")):
        for line in Path(path).read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return platform.processor()
