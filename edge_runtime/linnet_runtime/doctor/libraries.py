"""Shared libraries: where the dynamic linker finds one, and what is missing for it to load."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from linnet_runtime.doctor.elf import Elf, read_elf
from linnet_runtime.doctor.links import Link, broken, ok
from linnet_runtime.doctor.system import System

_FOLDERS = ("/lib/*-linux-gnu*", "/usr/lib/*-linux-gnu*", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_LOAD = "import ctypes, sys; library = ctypes.CDLL(sys.argv[1]); [getattr(library, name) for name in sys.argv[2:]]"
# The Debian packages of libraries that accelerators need.
_PACKAGES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libc++.so.1": "libc++1",
    "libc++abi.so.1": "libc++abi1",
    "libatomic.so.1": "libatomic1",
    "libze_loader.so.1": "libze1",
    "libOpenCL.so.1": "ocl-icd-libopencl1",
    "libstdc++.so.6": "libstdc++6",
    "libtbb.so.12": "libtbb12",
}


def check_library(system: System, name: str, fix: str, *symbols: str) -> Iterator[Link]:
    """Whether a library is present, is built for this machine, has all libraries that it needs, and loads with those
    symbols.

    ``name`` is a path with a slash in it, or a file name that is looked up as the dynamic linker does.
    """
    path = find_library(system, name)
    if path is None:
        yield broken("library", f"no {name}", fix)
        return
    shown = system.name(path)
    machine = read_elf(Path(sys.executable)).machine
    try:
        elf = read_elf(path)
    except (OSError, ValueError) as error:
        yield broken("library", f"{shown}: {getattr(error, 'strerror', None) or error}", fix)
        return
    if elf.machine != machine:
        yield broken("library", f"{shown} is built for {elf.machine}, and this Python for {machine}", fix)
        return
    yield ok("library", shown)
    missing = _missing(system, path, elf)
    for needed, by in missing.items():
        package = _PACKAGES.get(needed)
        get = f"sudo apt install {package}" if package else f"install the package that has {needed}, then sudo ldconfig"
        yield broken("dependencies", f"no {needed}, which {by} needs", get)
    if not missing:
        refused = system.python_error(_LOAD, str(path), *symbols)
        yield broken("loads", f"{shown}: {refused}", fix) if refused else ok("loads", path.name)


def find_library(system: System, name: str) -> Path | None:
    """A library's path below the root; None where the linker would not find it."""
    if "/" in name:
        return system.path(name) if system.path(name).is_file() else None
    return _find(name, _folders(system))


def _find(name: str, folders: list[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _folders(system: System) -> list[Path]:
    """The folders of the dynamic linker, in its order."""
    own = [folder for folder in system.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    texts = [system.read("/etc/ld.so.conf"), *map(system.read, system.glob("/etc/ld.so.conf.d/*.conf"))]
    configured = [line.strip() for text in texts for line in text.splitlines() if line.strip().startswith("/")]
    named = [system.path(folder) for folder in (*own, *configured)]
    return named + [folder for pattern in _FOLDERS for folder in system.glob(pattern)]


def _missing(system: System, path: Path, elf: Elf) -> dict[str, str]:
    """The names of the libraries that are missing, each with the name of a library that needs it."""
    folders = _folders(system)
    missing: dict[str, str] = {}
    seen, waiting = {path.name}, [(path, elf)]
    while waiting:
        user, elf = waiting.pop()
        origin = [Path(folder.replace("$ORIGIN", str(user.parent))) for folder in elf.runpath if "$ORIGIN" in folder]
        named = [system.path(folder) for folder in elf.runpath if "$ORIGIN" not in folder]
        for name in elf.needed:
            if name in seen or name.startswith("ld-linux"):
                continue
            seen.add(name)
            found = _find(name, origin + named + folders)
            if found is None:
                missing[name] = user.name
                continue
            try:
                waiting.append((found, read_elf(found)))
            except (OSError, ValueError):
                missing[name] = user.name
    return missing
