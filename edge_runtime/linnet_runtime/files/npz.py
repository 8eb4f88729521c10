"""Reading NumPy's archives (.npz) from other machines, without trust in anything that they state. Internal.

``numpy.load`` allocates what a header asks for and decompresses without a limit. Here the sum of the arrays is limited
before anything is decompressed, and an array has to be as long as its header states. Nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet_runtime.files.folders import open_regular

_MOST_ARRAYS = 10_000
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What zipfile and NumPy's parser of headers raise for bytes that are not theirs.
_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    MemoryError,
    OverflowError,
    RuntimeError,  # zipfile on encryption, and NotImplementedError and RecursionError
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class NpzError(Exception):
    """An archive that cannot be read; the text is one line without the file's name."""


def read_npz(path: Path, *, most_bytes: int) -> dict[str, NDArray[Any]]:
    """The arrays of an archive by name: booleans, integers and floats of any shape.

    Args:
        path: a regular file.
        most_bytes: the limit of the arrays' total size in bytes.

    Raises:
        NpzError: not an archive of arrays, damaged, or larger than ``most_bytes``.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if len(members) > _MOST_ARRAYS or size > most_bytes:
                raise NpzError(f"{len(members)} arrays of {size} bytes, more than {most_bytes} bytes")
            return {member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members}
    except _ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NpzError(reason or type(error).__name__) from error


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        # A size is given because read() alone decompresses all that is there, whatever the archive states.
        data = file.read(member.file_size)
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADER_READERS:
        raise NpzError(f"format version {version} of {member.filename}")
    shape, fortran_order, dtype = _HEADER_READERS[version](stream)
    if dtype.kind not in "buif":
        raise NpzError(f"{member.filename} of dtype {dtype}, not of numbers")
    count = math.prod(shape)
    if count * dtype.itemsize != len(data) - stream.tell():
        raise NpzError(f"{member.filename} of {len(data)} bytes for {dtype} {list(shape)}")
    numbers = np.frombuffer(data, dtype, count, stream.tell())
    return numbers.reshape(shape, order="F" if fortran_order else "C")


def numbers(arrays: dict[str, NDArray[Any]], name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array ``name`` of an archive: [N, *shape] of finite numbers. Raises NpzError on any other."""
    array = arrays.get(name)
    if array is None:
        raise NpzError(f"no array {name}")
    if array.dtype != dtype or array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        wanted = ", ".join(["N", *map(str, shape)])
        raise NpzError(f"{name} {array.dtype} {list(array.shape)}, not {np.dtype(dtype)} [{wanted}]")
    if not np.isfinite(array).all():
        raise NpzError(f"{name} with values that are not finite")
    return array
