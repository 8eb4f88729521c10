"""The program ``linnet`` as a user runs it, and the real data and inputs that some tests want."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("LINNET_DATA", ROOT.parent / "shared" / "data"))
CASES = DATA.parent / "cases"

# How long a test waits for what must come: a loaded machine is given the time it takes, and only a fault uses it all.
PATIENCE_S = 600.0

# What the fixture ``program`` gives: ``linnet`` in the test's own process.
Program = Callable[..., subprocess.CompletedProcess[str]]

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no real photos: set LINNET_DATA to their folder")
# TensorFlow and OpenVINO select these kernels by the processor, and oneDNN refuses them without its instructions.
needs_all_of_onednn = pytest.mark.skipif(
    "ONEDNN_MAX_CPU_ISA" in os.environ, reason="TensorFlow and OpenVINO do not ask what oneDNN is limited to"
)
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="no folder named cases beside that of the real photos")


def linnet(*arguments: object, status: int = 0, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs ``linnet`` in a process of its own, and fails unless it exits with ``status``."""
    command = [sys.executable, "-m", "linnet_runtime.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    printed = f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    # pytest's workers can send nothing that is not UTF-8.
    assert done.returncode == status, os.fsencode(printed).decode(errors="replace")
    return done


def one_line_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error that a user's mistake gets; fails where there is more, or a traceback."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: "), done.stderr
    return lines[0].removeprefix("error: ")
