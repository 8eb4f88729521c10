"""The machine that a figure was measured on. Internal."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("linnet", "numpy", "opencv-python-headless", "ai-edge-litert", "tflite-runtime", "onnxruntime", "openvino")


def host() -> dict[str, object]:
    """The machine, its processor, its system and Python's version: a latency means nothing without them."""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def engine_versions() -> dict[str, str]:
    """The versions of Linnet and of the installed packages that classify, by package."""
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _processor() -> str:
    """The processor's name in /proc/cpuinfo: "model name" on x86, "Model" on a Raspberry Pi."""
    for path, key in (("/proc/cpuinfo", "model name"), ("/proc/cpuinfo", "Model")):
        for line in Path(path).read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return platform.processor()


def temperatures(thermal: Path = Path("/sys/class/thermal")) -> dict[str, float]:
    """Degrees Celsius of each thermal zone of the machine, by its kind; empty where the system has none."""
    found = {}
    for zone in sorted(thermal.glob("thermal_zone*")):
        with contextlib.suppress(OSError, ValueError):  # a zone that is off cannot be read
            found[(zone / "type").read_text().strip()] = int((zone / "temp").read_text()) / 1000
    return found
