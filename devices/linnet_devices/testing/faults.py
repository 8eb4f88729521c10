"""An accelerator that fails on demand: a TensorFlow Lite delegate, built with the C compiler of the system.

    linnet run parts.linnet --source 0 --device "$(python -m linnet_devices.testing.faults faults)?fault=abort&after=99"

All its results are simulated. ``docs/fault-kit.md`` has the options and some rehearsals.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import click

from linnet_devices.errors import DeviceUnavailable
from linnet_devices.presets import EDGETPU_LIBRARY, EDGETPU_OP

SOURCE = Path(__file__).with_name("fault_delegate.c")
LIBRARY = "libfault_delegate.so"
FAULTS = ("absent", "create", "prepare", "invoke", "hang", "abort", "slow", "garbage")
ENVIRONMENT = "LINNET_FAULT"
"""The environment variable that has options for a delegate that is created without any: ``fault=abort&after=9``."""


def compiler() -> str | None:
    """The path of the C compiler: ``$CC``, or the first of cc, gcc and clang that is installed."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    return next(filter(None, map(shutil.which, names)), None)


def build_delegate(folder: Path, *, name: str = LIBRARY, ops: str = "all") -> Path:
    """Builds the delegate in ``folder``, which is created, and returns the library's path.

    Args:
        folder: where to put it.
        name: the library's file name, and the name by which the linker knows it once it is loaded.
        ops: the operations that it claims unless an option says otherwise: ``"all"``, or names joined by ``+``.

    Raises:
        DeviceUnavailable: there is no C compiler, or it fails.
    """
    cc = compiler()
    if cc is None:
        raise DeviceUnavailable(
            "the fault kit", got="no C compiler", expected="cc, gcc or clang", fix="apt install gcc"
        )
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / name
    command = [cc, "-std=c11", "-D_GNU_SOURCE", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"]
    command += [f'-DDEFAULT_OPS="{ops}"', str(SOURCE), "-o", str(library)]
    if sys.platform == "linux":
        command.append(f"-Wl,-soname,{name}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeviceUnavailable(f"the fault kit in {cc}", got=done.stderr, expected="a C11 compiler", fix="CC=gcc")
    return library


def build_edgetpu(folder: Path) -> Path:
    """Builds it under libedgetpu's name, to claim what that claims: in LD_LIBRARY_PATH it stands in for a Coral."""
    return build_delegate(folder, name=EDGETPU_LIBRARY, ops=EDGETPU_OP)


def device_name(library: Path, **options: str | int | Path) -> str:
    """The device as ``--device`` takes it: ``delegate:/faults/libfault_delegate.so?fault=abort&after=9``.

    ``options`` are those of the delegate; ``while_`` is its ``while``, a word that Python keeps for itself.
    """
    pairs = [f"{key.rstrip('_')}={quote(str(value), safe='/+')}" for key, value in options.items()]
    return f"delegate:{library}" + ("?" + "&".join(pairs) if pairs else "")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--edgetpu", is_flag=True, help="Build it under libedgetpu's name and print the folder.")
def main(folder: Path, edgetpu: bool) -> None:
    """Build the delegate in FOLDER and print the device's name."""
    try:
        if edgetpu:
            click.echo(build_edgetpu(folder.resolve()).parent)
        else:
            click.echo(device_name(build_delegate(folder.resolve())))
    except DeviceUnavailable as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
