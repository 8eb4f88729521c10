"""Reading regular files within a limit; writing files and directories whole or not at all. Internal."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from linnet_devices.api import LinnetError, Setting
from linnet_runtime.files.owned_directory import owned_directory
from linnet_runtime.files.rename import exchange, rename_new

_CHUNK_BYTES = 1 << 20


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading, and only a regular file: a FIFO would block for ever, and a device such as /dev/zero
    has no end.

    Raises:
        OSError: it cannot be opened, or is a directory, a FIFO, a socket or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # without O_NONBLOCK a FIFO blocks here
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file of at most ``most_bytes``. At most one byte more is read, whatever the file system
    states as its size.

    Raises:
        OSError: as ``open_regular``, and for a larger file; ``strerror`` says which.
    """
    data = bytearray()
    with open_regular(path) as file:
        while chunk := file.read(min(_CHUNK_BYTES, most_bytes + 1 - len(data))):
            data += chunk
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"more than {most_bytes} bytes", str(path))
    return bytes(data)


def is_utf8(path: str | Path) -> bool:
    """Whether a name from the file system is text; on Linux it may hold any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def require_utf8(path: str | Path, reason: str, error: type[LinnetError]) -> None:
    """Raises ``error`` for a path that is not UTF-8; ``reason`` says who needs it: ``"the engines open no other"``."""
    if not is_utf8(path):
        expected = f"UTF-8, because {reason}"
        raise error(str(path), got="a path that is not UTF-8", expected=expected, fix="rename the folder or the file")


def refuse_existing(path: Path, *, overwrite: bool, marker: str) -> None:
    """Raises LinnetError where ``path`` exists and must not be replaced. A command calls it before a long job.

    ``marker`` is a file that every replaceable directory has, so that a wrong name with ``overwrite`` cannot delete a
    user's own folder.
    """
    if path.exists() and not path.is_dir():
        raise LinnetError(str(path), got="a file of that name", expected="a new name", fix="another name")
    if path.exists() and not overwrite:
        raise LinnetError(
            str(path), got="it exists", expected="a new name", fix=(Setting("overwrite", True), "another name")
        )
    if path.exists() and not (path / marker).is_file() and any(path.iterdir()):
        raise LinnetError(
            str(path), got=f"a directory without {marker}", expected="one that linnet made", fix="another name"
        )


@contextlib.contextmanager
def new_directory(path: Path, *, overwrite: bool, marker: str) -> Iterator[Path]:
    """An empty directory beside ``path`` to fill. At the end of the block it takes the name ``path`` in one step: at
    every moment the older or the newer directory is there, whole. When the block fails it is removed.

    Of several processes that write to one ``path``, the last to finish wins. What a killed one left is removed by the
    next.

    Raises:
        LinnetError: the parent of ``path`` cannot be written; and as ``refuse_existing``.
    """
    refuse_existing(path, overwrite=overwrite, marker=marker)
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            owned = stack.enter_context(owned_directory(path.parent, f".{path.name}."))
            working = owned / path.name
            working.mkdir()
        except OSError as error:
            raise LinnetError(str(path), got=error.strerror, expected="a place that can be written") from error
        try:
            yield working
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EFBIG):  # it names nothing, or the file that was being copied
                error.filename = str(path)
            raise
        _put_in_place(working, path, overwrite=overwrite, marker=marker)


def _put_in_place(working: Path, path: Path, *, overwrite: bool, marker: str) -> None:
    """Renames ``working`` to ``path``; an older ``path`` takes the name of ``working``."""
    while True:
        refuse_existing(path, overwrite=overwrite, marker=marker)  # another process may have been faster
        with contextlib.suppress(FileExistsError, FileNotFoundError):  # what was there has changed since: look again
            if not path.exists():
                rename_new(working, path)
            else:
                exchange(working, path)
            return


def write_whole(path: Path, data: bytes) -> None:
    """Replaces a file in one step: a full disk or a kill leaves the older one as it was."""
    working = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        working.write_bytes(data)
        working.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk names nothing
        raise
    finally:
        working.unlink(missing_ok=True)
