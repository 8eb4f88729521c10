"""``linnet bench``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from linnet_devices.api import LinnetError
from linnet_devices.registry import expand, known_names, load_device
from linnet_runtime.bench.measure import Job
from linnet_runtime.bench.run import run_jobs
from linnet_runtime.bundle import open_bundle
from linnet_runtime.commands.options import bundle_argument, data_option, json_option, precision_option, threads_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.machine import host
from linnet_runtime.sessions import PrecisionChoice, choose_precision, warn_of_float

_SECONDS = (1.0, 5.0)  # warm-up and measurement of each row
_QUICK_SECONDS = (0.2, 1.0)


@click.command()
@bundle_argument
@data_option
@click.option("--device", default="cpu", show_default=True, help="One device or more: cpu:litert,cpu:openvino")
@precision_option
@threads_option
@click.option("--quick", is_flag=True, help="Measure each row for one second instead of five.")
@json_option
def bench(
    bundle: Path,
    data: Path | None,
    device: str,
    precision: PrecisionChoice | None,
    threads: int | None,
    quick: bool,
    as_json: bool,
) -> None:
    """Measure a bundle on devices: latency with its percentiles, load time, memory and, with --data, accuracy.

    Each row is measured in a separate process. The latency is that of inference on preprocessed pictures; linnet run
    measures each stage from the camera to the label.
    """
    opened = open_bundle(bundle)  # a damaged bundle is one error, not one for each row, and so are wrong photos
    chosen = choose_precision(opened, precision)
    warm_up, seconds = _QUICK_SECONDS if quick else _SECONDS
    names = [name for group in device.split(",") for name in expand(group.strip())]
    for name in names:
        if name not in known_names():
            load_device(name)  # raises an error that names the nearest
    photos = load_labelled_photos(data, opened.labels, opened.preprocess) if data else None
    labels = tuple(photos.labels.tolist()) if photos else ()
    jobs = [Job(str(bundle), name, chosen, threads, labels, warm_up, seconds) for name in names]
    console = Console(stderr=True)
    rows = []
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        task = progress.add_task("bench", total=len(jobs))
        for row in run_jobs(jobs, photos.pixels.tobytes() if photos else b""):
            rows.append(row)
            progress.advance(task)
    failed = all("error" in row for row in rows)
    if precision is None and chosen == "float" and not failed:
        warn_of_float(opened)
    if as_json:
        click.echo(msgspec.json.encode({"host": host(), "results": rows}))
    else:
        print_table(_table(rows))
    if failed:
        raise LinnetError("linnet bench", got="; ".join(str(row["error"]) for row in rows))


def _table(rows: list[dict[str, object]]) -> Table:
    figures = ("p50 ms", "p90", "p99", "max", "per second", "load ms", "MiB", "top-1")
    table = plain_table("", ("device", "artifact"), figures)
    for row in rows:
        if "error" in row:
            table.add_row(str(row["device"]), f"not run: {row['error']}")
            continue
        measured = msgspec.convert(row, type=_Row)
        table.add_row(
            measured.device,
            measured.artifact,
            *_times(measured),
            f"{measured.peak_rss_mb:.0f}",
            f"{measured.accuracy['top1']:.4f}" if measured.accuracy else "-",
        )
    return table


class _Row(msgspec.Struct):
    """The part of a row that the table shows. On a simulator nothing is timed."""

    device: str
    artifact: str
    latency_ms: dict[str, float] | None
    throughput_fps: float | None
    load_ms: float | None
    peak_rss_mb: float
    accuracy: dict[str, float] | None


def _times(row: _Row) -> tuple[str, ...]:
    if row.latency_ms is None or row.throughput_fps is None or row.load_ms is None:
        return ("simulated", *"-----")
    percentiles = (f"{row.latency_ms[key]:.3f}" for key in ("p50", "p90", "p99", "max"))
    return (*percentiles, f"{row.throughput_fps:.0f}", f"{row.load_ms:.0f}")
