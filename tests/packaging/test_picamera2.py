"""``make test-picamera2`` where libcamera cannot be had; what it tests where it can is its own business."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from program import ROOT

SCRIPT = ROOT / "tests" / "virtual_camera" / "run"


def program(folder: Path, name: str, prints: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho {prints}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("machine", "user", "reason"),
    [
        ("aarch64", "0", "it is for x86-64 Linux, and this is Linux aarch64"),
        ("x86_64", "1000", "chroot is for root. Fix: sudo make test-picamera2"),
        ("x86_64", "0", "no C compiler. Fix: sudo apt install gcc"),
    ],
)
def test_it_skips_with_one_line_where_something_is_missing(
    machine: str, user: str, reason: str, tmp_path: Path
) -> None:
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    program(tmp_path, "uname", f"Linux {machine}")
    program(tmp_path, "id", user)
    program(tmp_path, "unshare", "")
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=True, env={"PATH": str(tmp_path)})
    assert done.stdout.strip() == f"test-picamera2 skipped: {reason}"
    assert done.stderr == ""


def test_it_is_bash_and_may_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)
    subprocess.run([str(shutil.which("bash")), "-n", str(SCRIPT)], check=True)
