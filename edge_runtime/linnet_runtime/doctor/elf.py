"""What a shared library tells the dynamic linker: the machine that it is for, and the libraries that it needs."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LOAD, _DYNAMIC = 1, 2  # kinds of segments
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29  # kinds of entries
_MACHINES = {3: "x86", 40: "arm", 62: "x86-64", 183: "arm64", 243: "RISC-V"}


@dataclass(frozen=True)
class Elf:
    """The part of an ELF file that the dynamic linker reads."""

    machine: str
    """The processor: ``"x86-64"``, ``"arm64"``."""
    needed: tuple[str, ...]
    """The names of the libraries that it needs."""
    runpath: tuple[str, ...]
    """Folders to look for them; one may begin with $ORIGIN."""


def read_elf(path: Path) -> Elf:
    """Reads a library or a program.

    Raises:
        ValueError: it is neither, or truncated.
        OSError: it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"\x7fELF":
            raise ValueError("not an ELF file")
        try:
            return _parse(data)
        except (struct.error, IndexError, StopIteration) as error:
            raise ValueError("an ELF file that is cut off") from error


def _parse(data: mmap.mmap) -> Elf:
    order, wide = {1: "<", 2: ">"}.get(data[5], "<"), data[4] == 2
    (number,) = struct.unpack_from(f"{order}H", data, 18)
    machine = _MACHINES.get(number, f"machine {number}")
    loaded, dynamic = [], (0, 0)
    for kind, offset, address, length in _segments(data, order, wide):
        if kind == _LOAD:
            loaded.append((offset, address, length))
        elif kind == _DYNAMIC:
            dynamic = offset, length
    entry = struct.Struct(f"{order}{'qQ' if wide else 'iI'}")
    entries = [entry.unpack_from(data, dynamic[0] + at) for at in range(0, dynamic[1], entry.size)]
    if not entries:  # linked statically
        return Elf(machine, (), ())
    texts = next(value for kind, value in entries if kind == _STRTAB)
    start = next(offset + texts - address for offset, address, length in loaded if 0 <= texts - address < length)

    if start >= len(data):
        raise IndexError

    def named(wanted: int) -> list[str]:
        begins = [start + value for kind, value in entries if kind == wanted]
        return [data[at : data.find(b"\0", at)].decode(errors="replace") for at in begins]

    folders = named(_RUNPATH) or named(_RPATH)
    return Elf(machine, tuple(named(_NEEDED)), tuple(filter(None, ":".join(folders).split(":"))))


def _segments(data: mmap.mmap, order: str, wide: bool) -> Iterator[tuple[int, int, int, int]]:
    """The kind, offset in the file, address and length of each segment."""
    (table,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", data, 32 if wide else 28)
    size, count = struct.unpack_from(f"{order}HH", data, 54 if wide else 42)
    for at in range(table, table + size * count, size):
        if wide:
            kind, _, offset, address, _, length = struct.unpack_from(f"{order}IIQQQQ", data, at)
        else:
            kind, offset, address, _, length = struct.unpack_from(f"{order}5I", data, at)
        yield kind, offset, address, length
