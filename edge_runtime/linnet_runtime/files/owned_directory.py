"""Temporary directories that belong to a living process, so that what a killed one left can be told and removed.
Internal.

The owner holds a lock (flock) on the directory. The kernel gives it up when the process ends, however that is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from linnet_devices.errors import LinnetError

_SUFFIX = ".partial"


@contextlib.contextmanager
def owned_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty, private directory ``PREFIX….partial`` in ``parent``, which is removed at the end of the block.

    Directories of the same prefix whose owners have died are removed first.

    Raises:
        OSError: ``parent`` cannot be written.
    """
    remove_abandoned(parent, prefix)
    path, lock = _make(parent, prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Has the temporary files of this process made in a folder of its own, those of libraries among them: TensorFlow
    writes Python code for each graph that it traces. Also a decorator, for a command.

    Raises:
        LinnetError: no folder for temporary files can be written.
    """
    with owned_directory(temporary_folder(), "linnet-") as folder:
        before, tempfile.tempdir = tempfile.tempdir, str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


def temporary_folder() -> Path:
    """The folder for temporary files. Raises LinnetError where none can be written."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise LinnetError(
            "temporary files",
            got="no folder that can be written",
            expected="one",
            fix="set TMPDIR to a folder that can be written",
        ) from error


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new directory, and the descriptor that holds its lock."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=parent))
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # another process took it for an abandoned one before it was locked
            continue
        with contextlib.suppress(OSError):  # a file system without locks: nothing is ever removed there as abandoned
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_still_at(path, lock):
            return path, lock
        os.close(lock)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Removes the directories that ``owned_directory`` made in ``parent`` and whose owners were killed."""
    try:
        entries = list(parent.iterdir())
    except OSError:  # a directory that may be written, and not listed
        return
    for path in entries:
        if not (path.name.startswith(prefix) and path.name.endswith(_SUFFIX)):
            continue
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # removed meanwhile, or another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_at(path, lock):
                shutil.rmtree(path, ignore_errors=True)
        except OSError:  # its owner lives
            pass
        finally:
            os.close(lock)


def _is_still_at(path: Path, descriptor: int) -> bool:
    """Whether an open directory still has its name: it may have been removed, or exchanged for another."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
