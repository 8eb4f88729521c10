"""``linnet classify``: pictures in, one line of JSON for each."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from linnet_devices.api import OpenOptions
from linnet_devices.chatter import no_chatter
from linnet_devices.errors import printable
from linnet_runtime.classifier import Classifier
from linnet_runtime.commands.options import bundle_argument, json_lines_option, session_options
from linnet_runtime.preprocess import PictureError, read_picture
from linnet_runtime.sessions import PrecisionChoice


@click.command()
@bundle_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@session_options
@json_lines_option
def classify(
    bundle: Path, files: tuple[Path, ...], device: str, precision: PrecisionChoice | None, options: OpenOptions
) -> None:
    """Label pictures: one line of JSON for each FILE.

    A file that cannot be read gets a line with its error; the other files are labelled, and the exit status is 1.
    """
    unreadable = 0
    with Classifier.open(bundle, device, precision=precision, options=options) as classifier:
        for file in files:
            line: dict[str, object] = {"source": printable(str(file))}
            try:
                with no_chatter():
                    picture = read_picture(file)
                found = classifier.classify(picture, color="bgr")
                line |= found.to_json()
            except PictureError as error:
                unreadable += 1
                line["error"] = str(error)
            click.echo(msgspec.json.encode(line))
    if unreadable:
        raise PictureError("linnet classify", got=f"{unreadable} of {len(files)} files unreadable", expected="pictures")
