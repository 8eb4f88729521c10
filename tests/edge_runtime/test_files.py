"""Reading and writing files: only regular ones, never more than a limit, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linnet_runtime.files.folders import read_regular


def test_a_file_up_to_the_limit_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123456")
    with pytest.raises(OSError, match="more than 5 bytes"):
        read_regular(tmp_path / "file", 5)


def test_a_file_whose_stated_size_is_zero_is_read_up_to_the_limit() -> None:
    """Linux states a size of 0 for every file below /proc."""
    assert Path("/proc/self/status").stat().st_size == 0
    assert read_regular(Path("/proc/self/status"), 1 << 20).startswith(b"Name:")
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_regular(Path("/proc/self/status"), 10)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(Path(device), 10)


def test_a_fifo_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(tmp_path / "fifo", 10)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        read_regular(tmp_path, 10)
