"""``make test-newest``: it names what new releases break, and does not fail. Python, pip and pytest are simulated."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from program import ROOT

SCRIPT = ROOT / "tests" / "newest" / "run"
# What the arguments of this Python make it do; $SIMULATED is the step that fails.
PYTHON = """#!/bin/bash
case "$*" in
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
*" download "*) [ "$SIMULATED" != registry ] ;;
*"pip install"*) echo "ERROR: No matching distribution"; [ "$SIMULATED" != install ] ;;
*"pip freeze"*) sed 's/^onnxruntime==.*/onnxruntime==99.0/' constraints.txt ;;
*"-m pytest"*) echo "FAILED tests/devices/test_x.py::test_y - KeyError"; [ "$SIMULATED" != pytest ] ;;
esac
"""


@pytest.mark.parametrize(
    ("fails", "last"),
    [
        ("registry", "newest versions: skipped: pip reaches no package registry"),
        ("install", "newest versions: broken: pip cannot install them: ERROR: No matching distribution"),
        ("pytest", "newest versions: broken: FAILED tests/devices/test_x.py::test_y - KeyError"),
        ("nothing", "newest versions: the tests pass"),
    ],
)
def test_what_breaks_is_named_and_is_no_failure(fails: str, last: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(python), "NEWEST": str(tmp_path / "newest"), "SIMULATED": fails}
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=True, env=environment)
    *before, found = done.stdout.splitlines()
    assert found == last
    if fails in ("pytest", "nothing"):
        assert before[0] == "newest versions: onnxruntime==99.0", "the only one that constraints.txt has another of"


def test_it_is_bash_and_may_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)
    subprocess.run([str(shutil.which("bash")), "-n", str(SCRIPT)], check=True)
