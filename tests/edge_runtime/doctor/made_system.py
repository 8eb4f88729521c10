"""A system that is made of files below a folder: the doctor reads it as it reads the real one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linnet_devices.testing import faults
from linnet_runtime.doctor import CHAINS, Link, System
from plugins import install_distribution

NOBODY = 65534
LIBRARIES = "/usr/lib/x86_64-linux-gnu"


class FakeRoot:
    """A file system below a folder; its libraries are real ones, and its nodes are files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.system = System(
            root=folder,
            site=(str(folder / "site"),),
            prefix=folder / "venv",
            python=sys.version_info[:2],
            environ={"PATH": "/usr/bin", "LD_LIBRARY_PATH": f"{folder}{LIBRARIES}"},
        )

    def write(self, name: str, text: str = "") -> Path:
        path = self.folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
        return path

    def files(self, folder: str, **texts: object) -> None:
        for name, text in texts.items():
            self.write(f"{folder}/{name}", str(text))

    def node(self, name: str, mode: int = 0o666) -> None:
        self.write(name).chmod(mode)

    def package(self, name: str, version: str, module: str = "", code: str = "", tag: str = "") -> None:
        """A package as pip leaves it, with a module of that code."""
        site = self.folder / "site"
        install_distribution(site, name, version)
        if tag:
            (site / f"{name}-{version}.dist-info" / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")
        if module:
            path = site.joinpath(*module.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)

    def library(self, name: str, *symbols: str, needs: str = "") -> Path:
        """A library with those functions, which needs another one that is not there."""
        compiler = faults.compiler()
        if compiler is None:
            pytest.skip("no C compiler")
        path = self.write(f"{LIBRARIES}/{name}")
        command = [
            compiler,
            "-shared",
            "-fPIC",
            "-nostdlib",
            "-x",
            "c",
            "-",
            "-x",
            "none",
            "-o",
            str(path),
            f"-Wl,-soname,{name}",
        ]
        if needs:
            stub = self.folder / needs
            subprocess.run([*command[:-2], str(stub), f"-Wl,-soname,{needs}"], input=b"void stub() {}", check=True)
            command += ["-Wl,--no-as-needed", str(stub)]
        code = "".join(f"void {symbol}(void) {{}}\n" for symbol in symbols)
        subprocess.run(command, input=code.encode(), check=True)
        if needs:
            (self.folder / needs).unlink()
        return path

    def links(self, chain: str) -> dict[str, Link]:
        return {link.link: link for link in CHAINS[chain](self.system)}


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """Root may do everything: meanwhile it is somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def group_of(root: FakeRoot, node: str, name: str) -> None:
    """Gives the group of a node, which is whatever it is here, a name."""
    root.write("/etc/group", f"{name}:x:{(root.folder / node.lstrip('/')).stat().st_gid}:")


def plug_in_coral(root: FakeRoot, ids: str = "1a6e:089a", speed: int = 5000, mode: int = 0o666) -> None:
    vendor, product = ids.split(":")
    root.files("/sys/bus/usb/devices/2-1", idVendor=vendor, idProduct=product, speed=speed, busnum=2, devnum=7)
    root.files("/sys/bus/usb/devices/usb1", idVendor="1d6b", idProduct="0002", speed=480, busnum=1, devnum=1)
    root.node("/dev/bus/usb/002/007", mode)
