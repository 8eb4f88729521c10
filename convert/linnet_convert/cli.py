"""``linnet convert``. Internal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

import linnet_convert
from linnet_convert.choices import split_names
from linnet_convert.clients.command import CLIENT_NAMES, as_rows, show
from linnet_convert.compilers.command import as_rows as compiled_rows
from linnet_convert.compilers.command import show_compiled
from linnet_convert.options import model_options
from linnet_devices.api import LinnetError
from linnet_runtime.bundle import Artifact
from linnet_runtime.commands.options import json_option, max_drop_option, overwrite_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.files.owned_directory import own_temporary_folder
from linnet_runtime.proof.gates import gate_words
from linnet_runtime.proof.report import FOLDER, PAGE

if TYPE_CHECKING:
    from linnet_convert.conversion import Conversion
    from linnet_convert.readiness import Readiness


@click.command(
    help="Turn SOURCE into a bundle: TensorFlow Lite, ONNX and OpenVINO, in int8 and in float, each compared with the "
    "model that it was made from. SOURCE is a run of linnet train, or a model made elsewhere: .tflite, .onnx, "
    "OpenVINO's .xml, .keras or a SavedModel; options state what its file does not. A bundle is written only if "
    f"{gate_words()}. The report in it, report/index.html, is the evidence."
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The bundle's directory, NAME.linnet.")
@click.option("--formats", help="Which of tflite,onnx,openvino to write.  [default: all that SOURCE can become]")
@model_options
@click.option("--check", help="Check whether the compilers of accelerators accept the model: edgetpu, npu.")
@click.option(
    "--for",
    "clients",
    metavar="CLIENT,...",
    help="Also write files for other people's clients into the bundle, as linnet export does: "
    f"one or more of {CLIENT_NAMES}, separated by commas.",
)
@click.option(
    "--compile",
    "compile_for",
    metavar="TARGET,...",
    help="Also compile the model for these accelerators, as linnet compile does, such as ethosu:u65-256.",
)
@click.option(
    "--features",
    is_flag=True,
    help="Also write the feature artifacts, which explain labels. The int8 network has to end in global average "
    "pooling and one dense layer. They are about as large as the int8 artifacts.",
)
@click.option("--no-canary-photos", is_flag=True, help="Keep photos out of the bundle: its canaries are noise.")
@max_drop_option
@overwrite_option
@json_option
@own_temporary_folder()
def convert(
    source: Path,
    out: Path,
    formats: str | None,
    check: str | None,
    clients: str | None,
    compile_for: str | None,
    no_canary_photos: bool,
    overwrite: bool,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Calls ``linnet_convert.convert`` and shows its result; the command's help is above."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whose converter it is, whatever the model was trained on
    # Standard error is held back while the converter writes to it; this console writes to a copy.
    with os.fdopen(os.dup(2), "w") as stderr, Console(file=stderr).status("loading") as status:
        converted = linnet_convert.convert(
            source,
            out,
            formats=None if formats is None else split_names(formats),
            check=() if check is None else split_names(check),
            clients=() if clients is None else split_names(clients),
            compile_for=() if compile_for is None else split_names(compile_for),
            canary_photos=not no_canary_photos,
            overwrite=overwrite,
            on_step=status.update,
            **arguments,
        )
    _show(converted, as_json=as_json)
    if unready := [readiness.accelerator for readiness in converted.readiness if not readiness.is_ready]:
        raise LinnetError(
            f"--check {','.join(unready)}", got=f"requirements that {out} does not meet; the bundle is written"
        )


def _show(converted: Conversion, *, as_json: bool) -> None:
    artifacts, features, out = converted.bundle.artifacts, converted.bundle.features, converted.path
    of_features = features.artifacts if features else ()
    integers = {report.path: report.kind for report in converted.integers}
    independent = any(artifact.output.is_independent for artifact in artifacts)
    if as_json:
        said = {
            "bundle": str(out),
            "artifacts": [_row(artifact, integers) for artifact in artifacts],
            "features": [_row(artifact, integers) for artifact in of_features],
            "checks": converted.readiness,
            "exported": as_rows(converted.exported),
            "compiled": compiled_rows(converted.compiled),
            "independent": independent,
        }
        click.echo(msgspec.json.encode(said))
    else:
        print_table(_table(out, (*artifacts, *of_features), integers))
        if independent:
            click.echo("Its labels are independent: each has a probability of its own, and they need not add up to 1.")
        click.echo(f"The evidence: {out / FOLDER / PAGE}")
        for readiness in converted.readiness:
            print_table(_requirements(readiness))
        if converted.exported:
            show(converted.exported)
        if converted.compiled:
            show_compiled(converted.compiled)


def _row(artifact: Artifact, integers: Mapping[str, str]) -> dict[str, Any]:
    parity = msgspec.to_builtins(artifact.parity) if artifact.parity else {}
    return {"path": artifact.path, **parity, "integer": integers.get(artifact.path)}


def _requirements(readiness: Readiness) -> Table:
    table = plain_table(f"{readiness.path or 'no model'} for {readiness.accelerator}", ("", "requirement", "found"))
    for requirement in readiness.requirements:
        table.add_row(requirement.verdict, requirement.what, requirement.found)
    return table


def _table(out: Path, artifacts: Iterable[Artifact], integers: Mapping[str, str]) -> Table:
    figures = ("KiB", "agreement", "95 %", "photos", "logits off by", "top-1", "its model's")
    table = plain_table(
        f"{out}: the agreement of each artifact with the model that it was made from", ("artifact", "computes"), figures
    )
    for artifact in artifacts:
        parity = artifact.parity
        size = artifact.bytes + (artifact.weights.bytes if artifact.weights else 0)
        name, kib = artifact.path, f"{size / 1024:.0f}"
        kind = integers.get(name, "-")
        if parity is None:
            table.add_row(name, kind, kib, *["-"] * (len(figures) - 1))
            continue
        table.add_row(
            name,
            kind,
            kib,
            f"{parity.agreement:.4f}",
            f"{parity.agreement_low:.3f}..{parity.agreement_high:.3f}",
            str(parity.n),
            f"{parity.max_abs_logit_diff:.3g}",
            "-" if parity.accuracy is None else f"{parity.accuracy:.4f}",
            "-" if parity.reference_accuracy is None else f"{parity.reference_accuracy:.4f}",
        )
    return table
