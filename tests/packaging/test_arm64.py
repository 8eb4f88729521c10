"""``make test-arm64`` on a machine that cannot emulate arm64; what it tests where one can is its own business."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from program import ROOT

SCRIPT = ROOT / "tests" / "arm64" / "run"


def programs(folder: Path, *names: str) -> str:
    """A PATH with these programs and no others."""
    for name in names:
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


@pytest.mark.parametrize("machine", ["x86_64", "riscv64"])
def test_it_skips_with_one_line_where_something_is_missing(machine: str, tmp_path: Path) -> None:
    path = programs(tmp_path, "bash", "dirname")
    (tmp_path / "uname").write_text(f"#!/bin/sh\necho Linux {machine}\n")
    (tmp_path / "uname").chmod(0o755)
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=True, env={"PATH": path})
    (line,) = done.stdout.splitlines()
    assert line.startswith("test-arm64 skipped: ")
    assert ("no qemu-aarch64. Fix: sudo apt install qemu-user-static" in line) == (machine == "x86_64")
    assert done.stderr == ""


def test_it_is_bash_and_may_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)
    subprocess.run([str(shutil.which("bash")), "-n", str(SCRIPT)], check=True)
