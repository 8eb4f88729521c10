"""``linnet devices``: which devices are available, why the others are not, and how to fix that."""

from __future__ import annotations

import importlib

import click
import msgspec

from linnet_devices.api import Probe
from linnet_devices.registry import probe_all
from linnet_runtime.commands.options import json_option
from linnet_runtime.commands.tables import plain_table, print_table

_COMPILERS = "linnet_convert.compilers.registry"  # a layer above, and imported only for its own option


@click.command()
@click.option("--compilers", is_flag=True, help="List the vendors' compilers and their targets instead.")
@json_option
def devices(compilers: bool, as_json: bool) -> None:
    """List the devices: which are available, why the others are not, and how to fix that."""
    if compilers:
        _list_compilers(importlib.import_module(_COMPILERS).probe_all(), as_json=as_json)
        return
    probes = probe_all()
    if as_json:
        rows = [{"device": name, **msgspec.to_builtins(probe)} for name, probe in probes.items()]
        click.echo(msgspec.json.encode({"devices": rows}))
        return
    table = plain_table("", ("device", "available", "details or reason", "fix"))
    for name, probe in probes.items():
        table.add_row(name, *_columns(probe))
    print_table(table)


def _list_compilers(found: dict[str, tuple[tuple[str, ...], Probe]], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"compiler": name, "targets": targets, **msgspec.to_builtins(probe)}
            for name, (targets, probe) in found.items()
        ]
        click.echo(msgspec.json.encode({"compilers": rows}))
        return
    table = plain_table("", ("compiler", "available", "details or reason", "fix", "targets"))
    for name, (targets, probe) in found.items():
        table.add_row(name, *_columns(probe), " ".join(targets))
    print_table(table)


def _columns(probe: Probe) -> tuple[str, str, str]:
    what = ", ".join(probe.details.values()) if probe.available else probe.reason
    return "yes" if probe.available else "no", what, probe.fix
