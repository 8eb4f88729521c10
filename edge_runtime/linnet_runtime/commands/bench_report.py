"""``linnet bench report``. Internal."""

from __future__ import annotations

from pathlib import Path

import click

from linnet_runtime.bench.merge import markdown_of
from linnet_runtime.bench.results import Report, read_report
from linnet_runtime.commands.options import page_renderer
from linnet_runtime.files.folders import write_whole


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--page", type=click.Path(path_type=Path), help="Write an HTML page.")
def report(files: tuple[Path, ...], page: Path | None) -> None:
    """Merge outputs of linnet bench --json, from one or more devices, into Markdown tables."""
    render = page_renderer("linnet_runtime.bench.page", "render_bench") if page is not None else None
    reports = _by_name(files)
    if page is not None and render is not None:
        write_whole(page, render(reports).encode())
    click.echo(markdown_of(reports), nl=False)


def _by_name(files: tuple[Path, ...]) -> dict[str, Report]:
    """The reports by their files' names; by their paths where two have the same name."""
    stems = [file.stem for file in files]
    return {str(file) if stems.count(file.stem) > 1 else file.stem: read_report(file) for file in files}
