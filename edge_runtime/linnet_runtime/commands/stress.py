"""``linnet stress``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from linnet_devices.api import DeviceUnavailable, LinnetError, OpenOptions
from linnet_runtime.bundle import open_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.commands.options import bundle_argument, data_option, json_option, page_renderer, threads_option
from linnet_runtime.commands.tables import plain_table, print_table
from linnet_runtime.files.folders import write_whole
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.photos.listing import Photos
from linnet_runtime.sessions import PrecisionChoice
from linnet_runtime.stress.corruptions import CORRUPTIONS, SEVERITIES
from linnet_runtime.stress.measure import Run, Stress, measure_stress


@click.command()
@bundle_argument
@data_option
@click.option("--device", default="cpu", show_default=True, help="The device that runs the models.")
@threads_option
@click.option(
    "--photos", "most", type=click.IntRange(min=10), default=200, show_default=True, help="The most photos to use."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the corruptions and the photos."
)
@click.option("--page", type=click.Path(path_type=Path), help="Write an HTML page with curves and pictures.")
@json_option
def stress(
    bundle: Path,
    data: Path | None,
    device: str,
    threads: int | None,
    most: int,
    seed: int,
    page: Path | None,
    as_json: bool,
) -> None:
    """Measure the accuracy of a bundle under fifteen corruptions at five severities.

    Noise, blur, motion, brightness, contrast, fog, JPEG, pixelation, rotation, shift, scale, occlusion, color cast, low
    light and rolling exposure are applied to labelled photos. The int8 model runs on them and, if the device supports
    it, the float model too. The result names the first corruption to matter and an augmentation against it.
    """
    if data is None:
        raise LinnetError(
            "linnet stress", got="no photos", expected="labelled photos", fix="--data RUN or --data FOLDER"
        )
    render = page_renderer("linnet_runtime.stress.page", "render_stress") if page is not None else None
    manifest = open_bundle(bundle)
    photos = _some(load_labelled_photos(data, manifest.labels, manifest.preprocess), most, seed)
    console = Console(stderr=True)
    with (
        ExitStack() as opened,
        Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as progress,
    ):
        models = _open_models(bundle, device, OpenOptions(threads), opened)
        task = progress.add_task("corruptions", total=len(CORRUPTIONS))
        found = measure_stress(models, photos, seed=seed, on_corruption=lambda _: progress.advance(task))
    if page is not None and render is not None:
        write_whole(page, render(str(bundle), found, photos.pixels[0], seed=seed).encode())
    if as_json:
        click.echo(msgspec.json.encode(_report(found, bundle, device, seed)))
    else:
        print_table(_table(found, bundle))
        click.echo(_in_words(found))


def _some(photos: Photos, most: int, seed: int) -> Photos:
    """At most ``most`` photos, chosen at random."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(photos))[:most])
    return Photos(photos.pixels[chosen], photos.labels[chosen])


def _open_models(bundle: Path, device: str, options: OpenOptions, opened: ExitStack) -> dict[str, Run]:
    """The bundle's int8 and float models on the device. Raises DeviceUnavailable where it runs neither."""
    held = {artifact.is_int8 for artifact in open_bundle(bundle).artifacts}
    wanted: list[PrecisionChoice] = [name for name in ("int8", "float") if (name == "int8") in held]
    models: dict[str, Run] = {}
    reason: DeviceUnavailable | None = None
    for precision in wanted:
        try:
            classifier = opened.enter_context(Classifier.open(bundle, device, precision=precision, options=options))
        except DeviceUnavailable as error:  # an accelerator that runs int8 only
            reason = reason or error
            continue
        models[precision] = classifier.logits
    if not models and reason is not None:
        raise reason
    return models


def _report(found: Stress, bundle: Path, device: str, seed: int) -> dict[str, Any]:
    return {"bundle": str(bundle), "device": device, "seed": seed} | msgspec.to_builtins(found)


def _table(found: Stress, bundle: Path) -> Table:
    headings = (*(str(severity) for severity in SEVERITIES), "mean")
    judged = found.models[0]
    title = f"{bundle}: top-1 of the {judged} model on {found.n} photos, by severity"
    others = found.models[1:]
    table = plain_table(title, ("corruption",), (*headings, *(f"{model} mean" for model in others)))
    clean = [f"{found.clean[model].value:.3f}" for model in found.models]
    table.add_row("none", *[""] * len(SEVERITIES), *clean)
    for row in found.corruptions:
        shares = [f"{cell.accuracy[judged].value:.3f}" for cell in row.cells]
        table.add_row(row.name, *shares, f"{row.mean[judged]:.3f}", *(f"{row.mean[model]:.3f}" for model in others))
    table.add_row("mean", *[""] * len(SEVERITIES), *(f"{found.mean[model]:.3f}" for model in found.models))
    return table


def _in_words(found: Stress) -> str:
    first = found.first
    if first is None:
        return f"No corruption lowers top-1 significantly on {found.n} photos."
    change = first.change
    words = (
        f"The first to matter: {first.name} at severity {first.severity}, {100 * change.difference:+.1f} points "
        f"({100 * change.low:+.1f} to {100 * change.high:+.1f})."
    )
    if not first.advice:
        return f"{words} No augmentation makes such photos: train on photos from the same source."
    return f"{words} Try: linnet train ... --set {first.advice}"
