"""``linnet run``: labels on a live stream, one line of JSON for each frame."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from linnet_devices.api import OpenOptions
from linnet_runtime.classifier import Classifier
from linnet_runtime.commands.options import bundle_argument, json_lines_option, session_options
from linnet_runtime.failover.checked import Limits
from linnet_runtime.failover.supervisor import SupervisedSession
from linnet_runtime.pipeline import Pipeline
from linnet_runtime.sessions import PrecisionChoice
from linnet_runtime.signals import ended_by_signals
from linnet_runtime.sources import open_source


@click.command()
@bundle_argument
@click.option(
    "--source", required=True, help="A camera's number, rtsp://, http://, picamera2://0, a file, a folder or synthetic:"
)
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    help="Stop after so many frames.  [default: at the end of the source, or at ctrl-C]",
)
@session_options
@click.option(
    "--deadline-ms",
    type=click.FloatRange(min=0, min_open=True),
    default=1e3 * Limits.deadline_s,
    show_default=True,
    help="The longest inference of an accelerator. Ten in a row that take more than half of it are too slow.",
)
@click.option(
    "--canary-every",
    type=click.IntRange(min=1),
    metavar="FRAMES",
    help="Check an accelerator against the bundle's canary photos every so many frames.  [default: every hour]",
)
@json_lines_option
def run(
    bundle: Path,
    source: str,
    frames: int | None,
    device: str,
    precision: PrecisionChoice | None,
    options: OpenOptions,
    deadline_ms: float,
    canary_every: int | None,
) -> None:
    """Label a camera, a stream, a video or pictures: one line of JSON for each frame, and a summary at the end.

    A live source gives its newest frame; older ones are counted as dropped. A file gives every frame.
    """
    limits = Limits(deadline_s=deadline_ms / 1e3, canary_frames=canary_every)
    with (
        Classifier.open(bundle, device, precision=precision, options=options, limits=limits) as classifier,
        Pipeline(lambda: open_source(source), classifier) as pipeline,
        ended_by_signals(pipeline.stop),
    ):
        try:
            for result in pipeline:
                click.echo(msgspec.json.encode(result.to_json()))
                if result.frame == frames:
                    break
        finally:
            click.echo(msgspec.json.encode({"summary": _summary(pipeline, classifier)}))


def _summary(pipeline: Pipeline, classifier: Classifier) -> dict[str, object]:
    session = classifier.session
    return pipeline.summary() | (session.summary() if isinstance(session, SupervisedSession) else {})
