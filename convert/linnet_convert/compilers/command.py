"""``linnet compile``, and the option ``--compile`` that ``linnet convert`` shares with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from rich.console import Console

from linnet_convert.choices import split_names
from linnet_convert.compilers.bundle import compile_bundle, compilers_of
from linnet_runtime.bundle import Artifact
from linnet_runtime.commands.options import bundle_argument, json_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.files.owned_directory import own_temporary_folder


@click.command("compile")
@bundle_argument
@click.option(
    "--target",
    "targets",
    required=True,
    metavar="TARGET,...",
    help="The chips or boards, such as ethosu:u65-256, separated by commas; linnet devices --compilers lists them.",
)
@json_option
@own_temporary_folder()
def compile_for(bundle: Path, targets: str, as_json: bool) -> None:
    """Compile a bundle's int8 model for accelerators with their vendors' tools, and add the results to the bundle.

    Compilation does not prove that the labels are right: linnet verify BUNDLE --device DEVICE --data DATA --write
    compares the compiled model with the model that the bundle was made from, on the hardware or in the vendor's
    simulator. TensorFlow is not needed.
    """
    with os.fdopen(os.dup(2), "w") as stderr, Console(file=stderr).status("looking for compilers") as status:
        made = compile_bundle(bundle, compilers_of(split_names(targets)), on_step=status.update)
    if as_json:
        click.echo(msgspec.json.encode({"bundle": str(bundle), "compiled": as_rows(made)}))
    else:
        show_compiled(made)


def as_rows(made: Iterable[Artifact]) -> list[dict[str, object]]:
    """For ``--json``: each artifact's path, format and size, and its record in the manifest."""
    return [
        {
            "path": artifact.path,
            "format": artifact.format,
            "bytes": artifact.bytes,
            **(msgspec.to_builtins(artifact.compiled) if artifact.compiled else {}),
        }
        for artifact in made
    ]


def show_compiled(made: Iterable[Artifact]) -> None:
    """Prints what each compiler made of the model."""
    figures = ("KiB", "mapped", "on the CPU", "KiB on chip", "KiB off chip", "estimated, not measured")
    table = plain_table("", ("artifact", "compiler"), figures)
    for artifact in made:
        found = artifact.compiled
        if not found:
            continue
        on_cpu = None if found.on_cpu is None else sum(found.on_cpu.values())
        table.add_row(
            artifact.path,
            f"{found.compiler} {found.version}",
            f"{artifact.bytes / 1024:.0f}",
            _shown(found.mapped),
            _shown(on_cpu),
            _shown(found.on_chip_bytes, 1024),
            _shown(found.off_chip_bytes, 1024),
            "-" if found.estimated_ms is None else f"{found.estimated_ms:.2f} ms",
        )
    print_table(table)


def _shown(number: int | None, unit: int = 1) -> str:
    return "-" if number is None else f"{number / unit:.0f}"
