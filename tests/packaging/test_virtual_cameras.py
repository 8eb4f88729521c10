"""``make test-picamera2`` and ``make test-v4l2`` where their virtual cameras cannot be had; what they test is their own
business.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from program import ROOT

SCRIPTS = {"test-picamera2": ROOT / "tests/virtual_camera/run", "test-v4l2": ROOT / "tests/v4l2_guest/run"}


def program(folder: Path, name: str, prints: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho {prints}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("name", "machine", "user", "reason"),
    [
        ("test-picamera2", "aarch64", "0", "it is for x86-64 Linux, and this is Linux aarch64"),
        ("test-picamera2", "x86_64", "1000", "chroot is for root. Fix: sudo make test-picamera2"),
        ("test-picamera2", "x86_64", "0", "no C compiler. Fix: sudo apt install gcc"),
        ("test-v4l2", "aarch64", "0", "it is for x86-64 Linux, and this is Linux aarch64"),
        ("test-v4l2", "x86_64", "0", "no qemu-system-x86_64. Fix: sudo apt install qemu-system-x86"),
    ],
)
def test_it_skips_with_one_line_where_something_is_missing(
    name: str, machine: str, user: str, reason: str, tmp_path: Path
) -> None:
    for tool in ("bash", "dirname"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    program(tmp_path, "uname", f"Linux {machine}")
    program(tmp_path, "id", user)
    program(tmp_path, "unshare", "")
    done = subprocess.run([SCRIPTS[name]], capture_output=True, text=True, check=True, env={"PATH": str(tmp_path)})
    assert done.stdout.strip() == f"{name} skipped: {reason}"
    assert done.stderr == ""


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_is_bash_and_may_be_run(name: str) -> None:
    assert os.access(SCRIPTS[name], os.X_OK)
    subprocess.run([str(shutil.which("bash")), "-n", str(SCRIPTS[name])], check=True)
