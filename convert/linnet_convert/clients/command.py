"""``linnet export``, and the option ``--for`` that ``linnet convert`` shares with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from linnet_convert.clients.api import Exported
from linnet_convert.clients.export import export as export_bundle
from linnet_convert.clients.registry import CLIENTS
from linnet_devices.errors import LinnetError, nearest
from linnet_runtime.commands.options import bundle_argument, json_option
from linnet_runtime.commands.tables import plain_table, print_table

CLIENT_NAMES = ", ".join(CLIENTS)


@click.command()
@bundle_argument
@click.option(
    "--for", "clients", required=True, metavar="CLIENT,...", help=f"One or more of {CLIENT_NAMES}, separated by commas."
)
@json_option
def export(bundle: Path, clients: str, as_json: bool) -> None:
    """Write files for other people's clients into a bundle: BUNDLE/for/CLIENT/.

    These clients take a model's outputs for scores, and a bundle's models give logits. The exported int8 .tflite ends
    in a softmax that is calibrated by the bundle's temperature, beside the labels in the client's form. The bundle's
    own files stay as they are. It needs no TensorFlow.
    """
    exported = export_bundle(bundle, named_clients(clients))
    if as_json:
        click.echo(msgspec.json.encode({"bundle": str(bundle), "exported": as_rows(exported)}))
    else:
        show(exported)


def named_clients(names: str) -> list[str]:
    """The clients that ``--for`` names. Raises LinnetError for one that is not known."""
    named = [name.strip() for name in names.split(",")]
    if unknown := [name for name in named if name not in CLIENTS]:
        fix = next(iter(nearest(unknown[0], CLIENTS)), ",".join(CLIENTS))
        got = ", ".join(map(repr, unknown))
        raise LinnetError("--for", got=got, expected=f"one or more of {CLIENT_NAMES}", fix=f"--for {fix}")
    return named


def as_rows(exported: Iterable[Exported]) -> list[dict[str, object]]:
    """For ``--json``."""
    return [{"client": row.client, "folder": str(row.folder), "usage": row.usage} for row in exported]


def show(exported: Iterable[Exported]) -> None:
    """Prints each client's folder and what to do with it."""
    table = plain_table("", ("folder", "usage"))
    for row in exported:
        table.add_row(str(row.folder), row.usage)
    print_table(table)
