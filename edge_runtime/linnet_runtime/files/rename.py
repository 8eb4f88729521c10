"""Linux's renameat2: renaming without replacing, and the exchange of two names in one step. Internal."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE, _EXCHANGE = 1, 2
# What a kernel or a file system without it answers, and C libraries older than it.
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def rename_new(source: Path, target: Path) -> None:
    """Renames a directory to a name that is free. Raises FileExistsError where it is not, OSError."""
    try:
        _renameat2(source, target, _NOREPLACE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        try:
            source.rename(target)  # which replaces nothing but an empty directory
        except OSError as failed:
            if failed.errno == errno.ENOTEMPTY:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from failed
            raise


def exchange(one: Path, other: Path) -> None:
    """Exchanges two directories. Where the file system cannot do so in one step, ``other`` is away for a moment.

    Raises FileNotFoundError where one is missing, OSError.
    """
    try:
        _renameat2(one, other, _EXCHANGE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        away = one.with_name(one.name + ".old")
        other.rename(away)
        one.rename(other)
        away.rename(one)


def _renameat2(source: Path, target: Path, flags: int) -> None:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(flags)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(source), None, str(target))
