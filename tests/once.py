"""What is made once for all processes of a test session, however many pytest divides the tests among."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder ``name`` of the session, which ``make`` has filled; the first process that asks makes it.

    Where ``make`` raises, the next one that asks tries again, and finds the folder empty.
    """
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each process has a folder of its own below the session's
        shared = shared.parent
    folder, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            try:
                make(folder)
            except BaseException:
                folder.rename(folder.with_name(f"{name}.failed.{os.getpid()}"))
                raise
            done.touch()
    return folder
