"""``linnet export``, and the option ``--for`` that ``linnet convert`` shares with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from linnet_convert.choices import some_of, split_names
from linnet_convert.clients.api import Exported
from linnet_convert.clients.export import export as export_bundle
from linnet_convert.clients.registry import CLIENTS, CLIENTS_SETTING
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
    exported = export_bundle(bundle, some_of(CLIENTS_SETTING, split_names(clients), CLIENTS))
    if as_json:
        click.echo(msgspec.json.encode({"bundle": str(bundle), "exported": as_rows(exported)}))
    else:
        show(exported)


def as_rows(exported: Iterable[Exported]) -> list[dict[str, object]]:
    """For ``--json``."""
    return [{"client": row.client, "folder": str(row.folder), "usage": row.usage} for row in exported]


def show(exported: Iterable[Exported]) -> None:
    """Prints each client's folder and what to do with it."""
    table = plain_table("", ("folder", "usage"))
    for row in exported:
        table.add_row(str(row.folder), row.usage)
    print_table(table)
