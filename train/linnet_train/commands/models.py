"""``linnet models``: the networks with their size, cost and weights."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from linnet_devices.chatter import no_chatter, quiet_tensorflow
from linnet_runtime.commands.options import json_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_train.backend import choose_backend
from linnet_train.errors import TrainingError


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the networks that linnet train can train.

    For each network: parameters, multiply-adds (MACs) per picture, approximate size of the int8 file, and whether every
    layer can be quantized. The figures are for the network's default size and width and for the number of classes in
    its paper. Networks with an alpha accept --alpha. Weights: imagenet is the download of keras.applications, timm is a
    checkpoint from timm.
    """
    quiet_tensorflow()
    choose_backend()
    with no_chatter():
        from linnet_train.models import NETWORKS

        rows = [_row(name) for name in NETWORKS]
    if as_json:
        click.echo(msgspec.json.encode({"networks": rows}))
        return
    figures = ("size", "alpha", "parameters", "MACs", "int8 kB")
    table = plain_table("", ("network",), (*figures, "quantizes fully", "weights", "paper"))
    for row in rows:
        table.add_row(
            row["name"],
            str(row["size"]),
            "" if row["alpha"] is None else f"{row['alpha']:g}",
            f"{row['parameters'] / 1e6:,.2f} M",
            f"{row['macs'] / 1e6:,.1f} M",
            f"{row['int8_kb']:,.0f}",
            "yes" if row["quantises_fully"] else "no",
            ", ".join(row["weights"]),
            row["paper"],
        )
    print_table(table)


def _row(name: str) -> dict[str, Any]:
    from linnet_train.models import NETWORKS, build_model
    from linnet_train.models.figures import count_macs, count_parameters, int8_kilobytes, shapes_only

    network = NETWORKS[name]
    with shapes_only():
        model = build_model(name, classes=network.classes)
        return {
            "name": name,
            "size": network.size,
            "alpha": network.alpha,
            "classes": network.classes,
            "parameters": count_parameters(model),
            "macs": count_macs(model),
            "int8_kb": round(int8_kilobytes(model), 1),
            "quantises_fully": _quantizes(model),
            "weights": [*(["imagenet"] if network.application else []), *(["timm"] if network.timm else [])],
            "paper": network.paper,
        }


def _quantizes(model: Any) -> bool:
    from linnet_train.quantization.check import check

    try:
        check(model)
    except TrainingError:
        return False
    return True
