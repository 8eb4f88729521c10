"""Bundles from a hostile or careless hand: whatever is changed in a file, ``linnet`` ends in time and in one line.

``make test-fuzz`` runs thousands of mutations instead of hundreds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.fuzz import fault
from program import PATIENCE_S, ROOT

FEW, MANY = 120, 4000


def mutate(bundle: Path, seed: int, count: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What ended badly, and the summary."""
    command = [sys.executable, "-m", "edge_runtime.fuzz", str(bundle), str(seed), str(count)]
    patience_s = PATIENCE_S * max(1, count / FEW)
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "tests", timeout=patience_s)
    assert done.returncode == 0, done.stderr
    *faults, last = map(json.loads, done.stdout.splitlines())
    return faults, last["summary"]


@pytest.mark.parametrize(
    ("seed", "count"), [(0, FEW), pytest.param(1, MANY, marks=pytest.mark.fuzz)], ids=["hundreds", "thousands"]
)
def test_a_changed_file_is_one_error_and_never_a_traceback_a_crash_or_a_hang(
    seed: int, count: int, bundle_folder: Path
) -> None:
    faults, summary = mutate(bundle_folder, seed, count)
    assert faults == []
    assert summary["mutations"] == count
    assert set(summary["files"]) == {".json", ".npz", ".tflite", ".onnx", ".xml", ".bin"}
    assert set(summary["statuses"]) == {"0", "1"}, "some changes do no harm, and most do"


@pytest.mark.parametrize(
    ("status", "output", "errors", "found"),
    [
        (0, '{"probability": 0.5}\n{"error": "x"}\n', "", None),
        (1, "", "error: a line\n", None),
        (1, "", "WARNING: one\n\nerror: another\n", None),
        (1, "", "", "no line that says why"),
        (1, "", "error: 1\n2\n3\n4\n", "4 lines"),
        (1, "", "Traceback (most recent call last):\nerror: \n", "traceback"),
        (-11, "", "", "status -11"),
        (70, "", "", "status 70"),
        (0, "half of", "", "results that are not JSON"),
        (0, '{"probability": null}\n', "", "probabilities [None]"),
        (0, '{"probability": NaN}\n', "", "probabilities [nan]"),
    ],
)
def test_a_bad_end_is_found(status: int, output: str, errors: str, found: str | None) -> None:
    assert fault(status, output, errors) == found
