"""A lock, so that only one process writes to a run. Internal."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from linnet_runtime.files.owned_directory import owned_directory, remove_abandoned
from linnet_train.errors import TrainingError

_LOCK = ".lock"  # in the run's directory; removed when training ends


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Holds the lock of a run during the block. The kernel releases it when the process ends, however it ends.

    An older run that a killed process had put aside is removed first.

    Args:
        run: the run's directory, which must exist.

    Raises:
        TrainingError: another process writes to the run, or the file of the lock cannot be made.
    """
    path = run / _LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise TrainingError(str(run), got=error.strerror, expected="a run that can be written") from error
    try:
        _take(descriptor, path, run)
        remove_abandoned(run.parent, _aside_prefix(run))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the run may have been removed or renamed
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    path.unlink()
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def put_aside(run: Path) -> Iterator[Path]:
    """Moves an older run to another path beside its own for the block. At the end of the block it is removed, unless it
    has been moved back. ``locked`` removes what a killed process had put aside.
    """
    with owned_directory(run.parent, _aside_prefix(run)) as folder:
        yield run.rename(folder / run.name)


def _aside_prefix(run: Path) -> str:
    return f".{run.name}."


def _take(descriptor: int, path: Path, run: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A process that has just released the lock may have removed the file that was opened here.
        held = path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())
    except BlockingIOError:
        held = False
    except OSError:
        return  # a network drive without locks
    if not held:
        raise TrainingError(
            str(run),
            got="a run to which another linnet train is writing",
            expected="a run to which no other process writes",
            fix="wait until it ends, or choose another folder",
        )
