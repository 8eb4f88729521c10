"""``linnet explain``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from linnet_devices.api import LinnetError, OpenOptions
from linnet_devices.chatter import no_chatter
from linnet_devices.errors import printable
from linnet_runtime.bundle import open_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.commands.options import bundle_argument, json_option, page_renderer, threads_option
from linnet_runtime.explain.maps import Explained
from linnet_runtime.explain.maps import explain as explain_picture
from linnet_runtime.files.folders import write_whole
from linnet_runtime.preprocess import PictureError, read_picture

_MOST = 500
"""Pictures on a page: a browser cannot show thousands."""


@click.command()
@bundle_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The HTML page to write.")
@click.option("--device", default="cpu", show_default=True, help="The device to run on; see linnet devices.")
@threads_option
@json_option
def explain(
    bundle: Path, files: tuple[Path, ...], out: Path | None, device: str, threads: int | None, as_json: bool
) -> None:
    """Show why pictures get their labels: a page with a map of each FILE.

    If the bundle has feature artifacts (linnet convert --features), the map is a class activation map, from the feature
    map that the device computes. Otherwise, or if that map would have fewer than 3 places along a side, it is an
    occlusion map: parts of the picture are covered one after the other. An occlusion map works with every model and
    takes 65 times as long. If a file cannot be read, it is reported and the exit status is 1.
    """
    if out is None and not as_json:
        raise LinnetError(
            "linnet explain", got="no output", expected="a page to write", fix="--out page.html, or --json"
        )
    if len(files) > _MOST:
        raise LinnetError("linnet explain", got=f"{len(files)} files", expected=f"at most {_MOST}")
    render = page_renderer("linnet_runtime.explain.page", "render_explained") if out is not None else None
    explained: list[tuple[str, Explained]] = []
    unreadable: list[PictureError] = []
    options = OpenOptions(threads)
    with Classifier.open(bundle, device, explain=bool(open_bundle(bundle).features), options=options) as classifier:
        for file in files:
            try:
                with no_chatter():
                    picture = read_picture(file)
            except PictureError as error:
                unreadable.append(error)
                continue
            explained.append((printable(str(file)), explain_picture(classifier, picture)))
    if out is not None and render is not None and explained:
        write_whole(out, render(str(bundle), explained).encode())
    if as_json:
        click.echo(
            msgspec.json.encode({"pictures": [_row(*each) for each in explained], "errors": list(map(str, unreadable))})
        )
    elif explained:
        click.echo(f"{out}: {len(explained)} pictures, {explained[0][1].method} maps")
    if unreadable:
        got = f"{len(unreadable)} of {len(files)} files unreadable: {unreadable[0]}"
        raise PictureError("linnet explain", got=got, expected="pictures")


def _row(file: str, found: Explained) -> dict[str, object]:
    return {
        "source": file,
        **found.classification.to_json(),
        "map": {"method": found.method, "label": found.label, "logits": found.map.round(4).tolist()},
    }
