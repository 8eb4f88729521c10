"""``linnet tune``."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, Logits, OpenOptions
from linnet_runtime.bundle import MANIFEST, BundleError, open_bundle, read_manifest
from linnet_runtime.bundle_files import write_manifest
from linnet_runtime.classifier import Classifier
from linnet_runtime.commands.options import bundle_argument, data_option, json_option, threads_option
from linnet_runtime.files.folders import new_directory
from linnet_runtime.labelled_photos import load_labelled_photos
from linnet_runtime.proof.comparison import Share
from linnet_runtime.unknown import SCORES, ScoreName, Unknown, threshold_for, unknown_scores

_FEWEST = 20
"""With fewer photos, a share of 5 % is less than one photo."""


@dataclass(frozen=True)
class Tuned:
    """The effect of a bundle's threshold on good photos."""

    unknown: Unknown
    accuracy: Share
    """Top-1 of all photos, as without the threshold."""
    answered: Share
    """The share of photos that still get a label."""
    accuracy_answered: Share
    """Top-1 of those."""


@click.command()
@bundle_argument
@data_option
@click.option(
    "--refuse",
    type=click.FloatRange(0, 0.5),
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="The share of good photos that may be called unknown. 0 removes the threshold from the bundle.",
)
@click.option(
    "--score",
    type=click.Choice(SCORES),
    default="energy",
    show_default=True,
    help="The score that the threshold is for.",
)
@click.option("--device", default="cpu", show_default=True, help="The device that runs the model on the photos.")
@threads_option
@json_option
def tune(
    bundle: Path, data: Path | None, refuse: float, score: ScoreName, device: str, threads: int | None, as_json: bool
) -> None:
    """Let a bundle answer "unknown" for pictures that show none of its classes.

    The threshold is set on good photos, which show the classes: the validation photos of a run, or labelled photos in a
    folder. The given share of them is above it. The threshold is written into the bundle. Above it, classify, run and
    serve answer "unknown", with the score and the most probable label. A lower share refuses fewer good photos and
    finds fewer unknown pictures.
    """
    if not refuse:
        _write(bundle, None)
        click.echo(msgspec.json.encode({"unknown": None}) if as_json else f"{bundle}: nothing is called unknown.")
        return
    if data is None:
        raise LinnetError("linnet tune", got="no photos", expected="good photos", fix="--data RUN or --data FOLDER")
    manifest = open_bundle(bundle)
    if any(artifact.output.is_independent for artifact in manifest.artifacts):
        raise BundleError(
            str(bundle),
            got="independent labels, which may all be wrong",
            expected="labels of which exactly one is right",
            fix="a threshold of the decision: linnet run --threshold P",
        )
    photos = load_labelled_photos(data, manifest.labels, manifest.preprocess)
    if len(photos) < _FEWEST:
        raise LinnetError(str(data), got=f"{len(photos)} photos", expected=f"at least {_FEWEST} photos of the classes")
    with Classifier.open(bundle, device, options=OpenOptions(threads)) as classifier:
        logits = classifier.logits(photos.pixels)
    tuned = tune_threshold(score, logits, photos.labels, manifest.temperature, refuse)
    _write(bundle, tuned.unknown)
    click.echo(msgspec.json.encode(asdict(tuned) | {"bundle": str(bundle)}) if as_json else _in_words(bundle, tuned))


def tune_threshold(
    score: ScoreName, logits: Logits, labels: NDArray[np.int64], temperature: float, refused: float
) -> Tuned:
    """Sets the threshold on logits float32 [N, classes] of good photos with labels int64 [N]."""
    scores = unknown_scores(score, logits, temperature)
    threshold = threshold_for(scores, refused)
    right, kept = logits.argmax(axis=1) == labels, scores <= np.float32(threshold)
    return Tuned(
        Unknown(score=score, threshold=threshold, refused=refused, n=len(labels)),
        Share.of(right),
        Share.of(kept),
        Share.of(right[kept]),
    )


def _write(path: Path, unknown: Unknown | None) -> None:
    """Replaces the bundle in one step by a copy with another threshold."""
    read_manifest(path)
    with new_directory(path, overwrite=True, marker=MANIFEST) as root:
        shutil.copytree(path, root, dirs_exist_ok=True)
        write_manifest(
            root, msgspec.structs.replace(read_manifest(root), unknown=UNSET if unknown is None else unknown)
        )


def _in_words(bundle: Path, tuned: Tuned) -> str:
    def share(found: Share) -> str:
        return f"{found.value:.4f} ({found.low:.3f}..{found.high:.3f})"

    unknown = tuned.unknown
    return (
        f"{bundle}: unknown where the {unknown.score.replace('_', ' ')} score is above {unknown.threshold:.4g}.\n"
        f"It labels {share(tuned.answered)} of {unknown.n} good photos; "
        f"top-1 of those {share(tuned.accuracy_answered)}, of all {share(tuned.accuracy)}."
    )
