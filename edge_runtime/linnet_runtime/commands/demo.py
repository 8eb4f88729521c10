"""``linnet demo``."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from linnet_runtime.commands.options import overwrite_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.demo.page import PAGE, write_page
from linnet_runtime.demo.steps import Step, render, run_steps
from linnet_runtime.files.folders import refuse_existing

_MARKER = ".linnet-demo"


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="The demo's directory.",
)
@overwrite_option
@click.pass_context
def demo(context: click.Context, out: Path, overwrite: bool) -> None:
    """Show every step on rendered photos, without a download: train, convert, verify, bench, run.

    The demo ends with a table and a page. Every step is an ordinary command, printed before it runs.
    """
    refuse_existing(out, overwrite=overwrite, marker=_MARKER)
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / _MARKER).touch()
    console = Console(stderr=True)
    started = time.monotonic()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("rendering photos of parts")
        render(out, lambda done, total: progress.update(task, completed=done, total=total))
    seconds = {"render": time.monotonic() - started}
    program = context.find_root().command

    def run(arguments: tuple[str, ...]) -> None:
        program.main(list(arguments), prog_name="linnet", standalone_mode=False)

    def announce(step: Step) -> None:
        console.print(f"\n[bold]$ {step}[/]", highlight=False, soft_wrap=True)

    seconds |= run_steps(out, run, announce)
    figures = write_page(out, seconds)
    table = plain_table("\ndemo", ("step", "result"), ("seconds",))
    results = {
        "render": f"{figures['photos']} photos of {figures['classes']} classes, a clip of {figures['frames']} frames",
        "train": f"top-1 on the test photos: float {figures['float_top1']:.4f}, int8 {figures['int8_top1']:.4f}",
        "convert": "TensorFlow Lite, ONNX and OpenVINO, int8 and float",
        "verify": f"top-1 agreement of the int8 artifacts with Keras: at least {figures['agreement']:.4f}",
        "bench": f"{figures['fastest']['latency_ms']['p50']:.2f} ms median latency on {figures['fastest']['device']}",
        "run": f"{figures['frames_right']:.4f} of the frames labelled correctly, {figures['fps']:.0f} per second",
    }
    for name, result in results.items():
        table.add_row(name, result, f"{seconds[name]:.0f}")
    table.add_row("", "", f"{sum(seconds.values()):.0f}")
    print_table(table)
    click.echo(f"\nThe page: {out / PAGE}")
