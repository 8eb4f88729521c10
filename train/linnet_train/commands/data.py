"""``linnet data``: a table, a page and JSON about a folder of photos."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from linnet_devices.api import LinnetError
from linnet_devices.chatter import no_chatter
from linnet_runtime.commands.options import json_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.perceptual_hash import NEAR
from linnet_train.data_check.findings import KINDS, Check, Finding, check_folder, keep_together
from linnet_train.data_check.page import write_page

_ROWS = 6  # of a kind in the table
_NAMES = 4  # of a finding
_COLORS = {"error": "red", "warning": "yellow", "note": ""}


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Check a folder of photos before training on it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@data.command()
@click.argument("folder", metavar="DATA", type=click.Path(path_type=Path))
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an HTML page that shows the photos of each finding.",
)
@click.option(
    "--near",
    type=click.IntRange(0, 64),
    default=NEAR,
    show_default=True,
    help="Bits, of 255, in which near duplicates may differ. Use fewer for a fixed camera: its photos are all similar.",
)
@click.option("--strict", is_flag=True, help="Exit with status 1 on warnings too.")
@json_option
def check(folder: Path, page: Path | None, near: int, strict: bool, as_json: bool) -> None:
    """Check DATA (a folder of photos for each class, train/, val/ and test/ with such folders, or a CSV file).

    Errors stop training, lose photos or make the figures wrong: files that cannot be decoded, the same or nearly the
    same photo in two classes or in two parts, classes that are missing from training or have fewer than five photos
    there. Warnings are other duplicates, small classes, unusual sizes, gray photos among color ones, and files that
    training does not read. Notes are 16 bits per channel, alpha channels and EXIF rotation.

    Exit status: 0 without errors, 1 with any (--strict: with any warning too), 2 for a wrong option.
    """
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)  # a page that cannot be written is an error before the check
    started = time.monotonic()
    with _progress() as progress, no_chatter():
        reading = progress.add_task("reading photos", total=None)
        comparing = progress.add_task("comparing photos", total=None)
        found = check_folder(
            folder,
            near,
            lambda done, total: progress.update(reading, completed=done, total=total),
            lambda done, total: progress.update(comparing, completed=done, total=total),
        )
    seconds = time.monotonic() - started
    errors, warnings = found.count("error"), found.count("warning")
    passed = not errors and not (strict and warnings)
    if page is not None:
        write_page(page, folder, found)
    if as_json:
        report = {
            "photos": found.photos,
            "classes": found.classes,
            "errors": errors,
            "warnings": warnings,
            "notes": found.count("note"),
            "findings": found.findings,
            "group_pattern": found.group_pattern,
            "seconds": round(seconds, 3),
            "passed": passed,
        }
        click.echo(msgspec.json.encode(report))
    else:
        if found.findings:
            print_table(_table(found))
        click.echo(f"{found.photos} photos of {len(found.classes)} classes in {seconds:.1f} s: {_summary(found)}")
        for line in keep_together(found, folder):
            click.echo(line)
        if page is not None:
            click.echo(f"The pictures: {page}")
    if not passed:
        fix = None if page is not None else "--page FILE shows the pictures"
        raise LinnetError(str(folder), got=_summary(found), expected="none" if strict else "no errors", fix=fix)


def _summary(found: Check) -> str:
    numbers = {level: found.count(level) for level in ("error", "warning", "note")}
    return ", ".join(f"{n} {level}{'s' * (n != 1)}" for level, n in numbers.items() if n) or "nothing wrong"


def _table(found: Check) -> Table:
    table = plain_table("", ("finding", "level", "what", "files"), ("count",))
    for kind, group in groupby(found.findings, key=lambda finding: finding.kind):
        findings = list(group)
        for finding in findings[:_ROWS]:
            table.add_row(
                KINDS[kind][0],
                Text(finding.level, style=_COLORS[finding.level]),
                Text(finding.detail),  # not markup: names may hold brackets
                Text(_names(finding)),
                str(len(finding.files) or ""),
            )
        if len(findings) > _ROWS:
            rest = findings[_ROWS:]
            table.add_row("", "", f"... and {len(rest)} more: --json", "", str(sum(len(f.files) for f in rest) or ""))
    return table


def _names(finding: Finding) -> str:
    return "\n".join(finding.files[:_NAMES]) + "\n..." * (len(finding.files) > _NAMES)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar on a copy of standard error: ``no_chatter`` captures standard error itself."""
    if not (sys.stderr and sys.stderr.isatty()):
        yield Progress(disable=True)
        return
    with os.fdopen(os.dup(2), "w") as terminal, Progress(console=Console(file=terminal), transient=True) as progress:
        yield progress
