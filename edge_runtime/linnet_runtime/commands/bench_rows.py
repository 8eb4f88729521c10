"""``linnet bench BUNDLE``: the rows, their table, and the baseline. Internal."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from linnet_devices.api import LinnetError
from linnet_devices.registry import expand, known_names, load_device, probe
from linnet_runtime import run_files
from linnet_runtime.bench.baseline import check_same_machine, compare_rows, in_words
from linnet_runtime.bench.measure import Job
from linnet_runtime.bench.results import VERSION, FailedRow, Report, Row, Scope, read_report
from linnet_runtime.bench.run import run_jobs
from linnet_runtime.bench.timing import Profile
from linnet_runtime.bench.words import FIGURES, cells, note_lines
from linnet_runtime.bundle import Bundle, open_bundle
from linnet_runtime.commands.options import page_renderer
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.files.folders import write_whole
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.machine import engine_versions, host
from linnet_runtime.photos.listing import find_photos
from linnet_runtime.sessions import PrecisionChoice, choose_precision, warn_of_float

_FRAMES = 32  # paths, of which some may be damaged


@dataclass(frozen=True)
class Asked:
    """What is to be measured."""

    bundle: Path
    data: Path | None
    devices: str
    """One or more, with commas."""
    precision: PrecisionChoice | None
    threads: int | None
    scopes: list[Scope]
    profile: Profile


def bench_rows(
    asked: Asked,
    baseline: Path | None,
    fail_over: float | None,
    *,
    other_machine: bool,
    page: Path | None,
    as_json: bool,
) -> None:
    """Measures and prints the rows. When it is stopped, it prints those so far.

    Raises:
        LinnetError: the bundle, the photos or the baseline cannot be used; no device could run the bundle; or a row is
            slower than the baseline by more than ``fail_over``.
    """
    opened = open_bundle(asked.bundle)  # a damaged bundle is one error, not one for each row, and so are wrong photos
    chosen = choose_precision(opened, asked.precision)
    render = page_renderer("linnet_runtime.bench.page", "render_bench") if page is not None else None
    report = _empty(opened, asked.profile)
    older = read_report(baseline) if baseline is not None else None
    if older is not None and not other_machine:
        check_same_machine(older, report.host)
    jobs, pixels = _jobs(asked, opened, chosen)
    try:
        _measure(jobs, pixels, report.results, shows_progress=not as_json)
        report = msgspec.structs.replace(report, interrupted=False)
        if older is not None:
            changes = compare_rows(older.rows, report.rows, fail_over or 0.0)
            report = msgspec.structs.replace(report, baseline=changes)
    finally:  # ctrl-C too: what has been measured is kept
        _show(report, as_json=as_json)
        if page is not None and render is not None:
            write_whole(page, render({"": report}).encode())
    if all(isinstance(row, FailedRow) for row in report.results):
        raise LinnetError("linnet bench", got="; ".join(row.error for row in report.results))
    if asked.precision is None and chosen == "float":
        warn_of_float(opened)
    slower = [change for change in report.baseline or [] if change.failed]
    if fail_over is not None and slower:
        expected = f"at most {fail_over:.0%} slower than {baseline}"
        raise LinnetError("linnet bench", got="; ".join(in_words(change) for change in slower), expected=expected)


def _empty(bundle: Bundle, profile: Profile) -> Report:
    return Report(
        version=VERSION,
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        interrupted=True,
        profile=profile.name,
        bundle=bundle.name,
        host=host() | {"versions": engine_versions()},
        results=[],
    )


def _jobs(asked: Asked, bundle: Bundle, precision: PrecisionChoice) -> tuple[list[Job], bytes]:
    """The measurements, and the pixels of the photos. The accuracy is measured in the first scope only."""
    names = [name for group in asked.devices.split(",") for name in expand(group.strip())]
    for name in names:
        if name not in known_names():
            load_device(name)  # raises an error that names the nearest
    photos = load_labelled_photos(asked.data, bundle.labels, bundle.preprocess) if asked.data else None
    labels = tuple(photos.labels.tolist()) if photos else ()
    frames = _frames(asked.data) if asked.data else ()
    jobs = [
        Job(
            bundle=str(asked.bundle),
            device=name,
            precision=precision,
            threads=asked.threads,
            labels=labels if scope == asked.scopes[0] else (),
            profile=asked.profile,
            scope=scope,
            tier=probe(name).tier,
            frames=frames,
        )
        for name in names
        for scope in asked.scopes
    ]
    return jobs, photos.pixels.tobytes() if photos else b""


def _frames(data: Path) -> tuple[bytes, ...]:
    """The paths of photos from all classes of a folder or a table. A run keeps only preprocessed pixels."""
    if run_files.keeps_photos(data):
        return ()
    listed = find_photos(data).photos
    return tuple(os.fsencode(photo.path) for photo in listed[:: max(1, len(listed) // _FRAMES)])


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
        changes = [in_words(change) for change in report.baseline or []]
        for line in [*note_lines(report.rows), *changes]:
            click.echo(line)


def _table(rows: list[Row | FailedRow]) -> Table:
    shows_scope = len({row.scope for row in rows}) > 1
    table = plain_table("", ("device", *(["scope"] if shows_scope else []), "artifact"), FIGURES)
    for row in rows:
        left = [row.device, *([row.scope] if shows_scope else [])]
        right = [f"not run: {row.error}"] if isinstance(row, FailedRow) else [row.artifact, *cells(row)]
        table.add_row(*left, *right)
    return table
