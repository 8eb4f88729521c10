"""The machine that a figure was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


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
