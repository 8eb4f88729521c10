"""``linnet serve`` for a long time, as ``benchmarks/soak.py`` has it: ``make test-soak`` takes many minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.sinks.broker import needs_broker
from program import ROOT


@pytest.mark.soak
@needs_broker
def test_after_200_000_frames_memory_files_and_threads_are_those_of_the_10_000th_and_nothing_is_lost(
    bundle_folder: Path,
) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), str(bundle_folder), "--frames", "200000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
