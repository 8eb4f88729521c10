"""``linnet bench``."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from linnet_devices.api import LinnetError
from linnet_devices.registry import expand, known_names, load_device, probe
from linnet_runtime.bench import timing
from linnet_runtime.bench.measure import Job
from linnet_runtime.bench.results import VERSION, FailedRow, Report, Row, Scope
from linnet_runtime.bench.run import run_jobs
from linnet_runtime.bench.words import FIGURES, cells, note_lines
from linnet_runtime.bundle import open_bundle
from linnet_runtime.commands.options import bundle_argument, data_option, json_option, precision_option, threads_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.machine import engine_versions, host
from linnet_runtime.sessions import PrecisionChoice, choose_precision, warn_of_float

_SCOPES: tuple[Scope, ...] = ("invoke", "frame", "live")


def _scopes(_ctx: click.Context, _option: click.Parameter, text: str) -> list[Scope]:
    wanted = [part.strip() for part in text.split(",")]
    if unknown := [part for part in wanted if part not in _SCOPES]:
        raise click.UsageError(f"--scope: got {', '.join(unknown)!r}, expected one or more of {', '.join(_SCOPES)}")
    return [scope for scope in _SCOPES if scope in wanted]


@click.command()
@bundle_argument
@data_option
@click.option("--device", default="cpu", show_default=True, help="One device or more: cpu:litert,cpu:openvino")
@precision_option
@threads_option
@click.option(
    "--scope",
    "scopes",
    default="invoke",
    show_default=True,
    callback=_scopes,
    help="What a latency includes, one or more: invoke (a tensor to its logits), frame (a decoded frame to its label, "
    "with the time of each stage), live (the capture of a frame to its result).",
)
@click.option("--quick", is_flag=True, help="Measure each row for one second.")
@click.option(
    "--profile",
    type=click.Choice(["mlperf"]),
    help="Measure each row for at least 1,024 inferences and 60 s, as MLPerf does for a single stream.  [default: at "
    "least 1,024 inferences and 10 s]",
)
@json_option
def bench(
    bundle: Path,
    data: Path | None,
    device: str,
    precision: PrecisionChoice | None,
    threads: int | None,
    scopes: list[Scope],
    quick: bool,
    profile: str | None,
    as_json: bool,
) -> None:
    """Measure a bundle on devices: latency with its percentiles, load time, memory and, with --data, accuracy.

    Each row is measured in a separate process, until its p90 is steady or three times the shortest time has passed. A
    row that other programs have disturbed is measured once more.
    """
    if quick and profile:
        raise click.UsageError("--quick: got --profile too, expected one of them")
    opened = open_bundle(bundle)  # a damaged bundle is one error, not one for each row, and so are wrong photos
    chosen = choose_precision(opened, precision)
    length = timing.QUICK if quick else timing.MLPERF if profile else timing.DEFAULT
    names = _device_names(device)
    photos = load_labelled_photos(data, opened.labels, opened.preprocess) if data else None
    labels = tuple(photos.labels.tolist()) if photos else ()
    jobs = [
        Job(str(bundle), name, chosen, threads, labels if scope == scopes[0] else (), length, scope, probe(name).tier)
        for name in names
        for scope in scopes
    ]
    report = Report(
        version=VERSION,
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        interrupted=True,
        profile=length.name,
        bundle=opened.name,
        host=host() | {"versions": engine_versions()},
        results=[],
    )
    try:
        _measure(jobs, photos.pixels.tobytes() if photos else b"", report.results, shows_progress=not as_json)
        report = msgspec.structs.replace(report, interrupted=False)
    finally:  # ctrl-C too: what has been measured is kept
        _show(report, as_json=as_json)
    if all(isinstance(row, FailedRow) for row in report.results):
        raise LinnetError("linnet bench", got="; ".join(row.error for row in report.results))
    if precision is None and chosen == "float":
        warn_of_float(opened)


def _device_names(devices: str) -> list[str]:
    """The devices of a list with commas. Raises an error that names the nearest where one is unknown."""
    names = [name for group in devices.split(",") for name in expand(group.strip())]
    for name in names:
        if name not in known_names():
            load_device(name)
    return names


def _measure(jobs: list[Job], pixels: bytes, rows: list[Row | FailedRow], *, shows_progress: bool) -> None:
    """Appends each row as soon as it is measured."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not shows_progress or not console.is_terminal) as progress:
        task = progress.add_task("bench", total=len(jobs))
        for row in run_jobs(jobs, pixels):
            rows.append(row)
            progress.advance(task)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(report))
    elif report.results:
        print_table(_table(report.results))
        for line in note_lines(report.rows):
            click.echo(line)


def _table(rows: list[Row | FailedRow]) -> Table:
    shows_scope = len({row.scope for row in rows}) > 1
    table = plain_table("", ("device", *(["scope"] if shows_scope else []), "artifact"), FIGURES)
    for row in rows:
        left = [row.device, *([row.scope] if shows_scope else [])]
        right = [f"not run: {row.error}"] if isinstance(row, FailedRow) else [row.artifact, *cells(row)]
        table.add_row(*left, *right)
    return table
