"""``linnet devices``: which devices are available, why the others are not, and how to fix that."""

from __future__ import annotations

import click
import msgspec

from linnet_devices.registry import probe_all
from linnet_runtime.commands.options import json_option
from linnet_runtime.commands.tables import plain_table, print_table


@click.command()
@json_option
def devices(as_json: bool) -> None:
    """List the devices: which are available, why the others are not, and how to fix that."""
    probes = probe_all()
    if as_json:
        rows = [{"device": name, **msgspec.to_builtins(probe)} for name, probe in probes.items()]
        click.echo(msgspec.json.encode({"devices": rows}))
        return
    table = plain_table("", ("device", "available", "details or reason", "fix"))
    for name, probe in probes.items():
        what = ", ".join(probe.details.values()) if probe.available else probe.reason
        table.add_row(name, "yes" if probe.available else "no", what, probe.fix)
    print_table(table)
