"""``linnet run``: labels on a live stream, one line of JSON for each frame."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path

import click
import msgspec

from linnet_devices.api import LinnetError
from linnet_runtime.commands.live_options import configured, mistakes_at_start
from linnet_runtime.live import NOTHING_COUNTED, Live, open_classifier
from linnet_runtime.live_config import LiveConfig
from linnet_runtime.signals import ended_by_signals
from linnet_runtime.sinks.settings import JsonLinesSettings, TerminalSettings


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@configured
@click.option("--watch", is_flag=True, help="A view for a person.  [default where the output is a terminal]")
@click.option("--json", "as_json", is_flag=True, help="Lines of JSON.  [default where the output is no terminal]")
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    help="Stop after so many frames.  [default: at the end of the source, or at ctrl-C]",
)
def run(bundle: Path | None, config: LiveConfig, watch: bool, as_json: bool, frames: int | None) -> None:
    """Label cameras, streams, videos or pictures: one line of JSON for each frame, and a summary at the end.

    A live source gives its newest frame; older ones are counted as dropped. A file gives every frame. With --config a
    TOML file has the cameras, the decisions and where results go.
    """
    if watch and as_json:
        raise click.UsageError("--watch and --json, one of the two")
    if bundle is None:
        raise click.UsageError("Missing argument 'BUNDLE'")
    if not config.camera:
        raise click.UsageError("Missing option '--source'")
    config = _with_output(config, watch=watch, as_json=as_json)
    with ended_by_signals() as ending, ExitStack() as stack:
        live: Live | None = None
        try:
            ending.may_raise()
            with mistakes_at_start():
                classifier = stack.enter_context(open_classifier(bundle, config))
                live = stack.enter_context(Live(config, classifier, most_frames=frames))
            ending.calls(live.pipeline.stop)
        except BaseException:
            ending.calls(live.pipeline.stop if live is not None else None)
            if not ending.arrived:
                raise
        if live is None:
            _print_summary(NOTHING_COUNTED)
            return
        try:
            _run(live)
        finally:
            live.close()
            _print_summary(live.summary())


def _print_summary(summary: Mapping[str, object]) -> None:
    click.echo(msgspec.json.encode({"summary": summary}))


def _run(live: Live) -> None:
    """A source whose very first frame cannot be used is a mistake at the start."""
    try:
        live.pipeline.run()
    except LinnetError:
        with nullcontext() if live.pipeline.frames_classified else mistakes_at_start():
            raise


def _with_output(config: LiveConfig, *, watch: bool, as_json: bool) -> LiveConfig:
    """The configuration with what the user sees: a view on a terminal, else lines of JSON, unless it has its own."""
    if watch or as_json or not (config.json_lines or config.terminal):
        view = watch or (not as_json and sys.stdout.isatty())
        return msgspec.structs.replace(
            config, terminal=TerminalSettings() if view else None, json_lines=None if view else JsonLinesSettings()
        )
    return config
