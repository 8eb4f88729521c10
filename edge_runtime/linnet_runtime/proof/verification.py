"""Whether a bundle's models are still the models that were converted, and still agree with those that were trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linnet_devices.api import Device, DeviceUnavailable, Logits, OpenOptions
from linnet_devices.registry import expand, load_device
from linnet_runtime.bundle import Artifact, Bundle, check_file, files_of, open_bundle
from linnet_runtime.decision import comparable
from linnet_runtime.photos import Photos
from linnet_runtime.proof.canary import Canary, CanaryResult, check_canary, load_canary
from linnet_runtime.proof.comparison import Comparison, Share, compare
from linnet_runtime.proof.gates import gate_words, shortcomings
from linnet_runtime.proof.reference import load_reference
from linnet_runtime.proof.report import Compared, ParityReport, compare_pairs
from linnet_runtime.sessions import open_model


@dataclass(frozen=True)
class Verdict:
    """What was found of one artifact on one device.

    ``comparison`` is with the model that it came from, over those of the photos that it was asked about when the bundle
    was made; None without such photos. ``accuracy`` is top-1 over all photos given, and
    ``logits`` float32 [N, classes] are what it made of them. ``failed`` says in words which gates were missed, and
    ``skipped`` why nothing was run.
    """

    path: str
    precision: str
    device: str
    skipped: str = ""
    canary: CanaryResult | None = None
    comparison: Comparison | None = None
    accuracy: Share | None = None
    logits: Logits | None = None
    scale: float | None = None
    failed: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.skipped and not self.failed


def verify_bundle(
    path: Path, photos: Photos | None, *, device: str, options: OpenOptions, max_drop: float | None = None
) -> Iterator[Verdict]:
    """Checks every hash, then gives a verdict for each artifact on each device of ``device`` that reads it.

    A device that is not here gives a verdict that says so; it proves nothing and refutes nothing. ``max_drop`` is in
    points of accuracy; see ``shortcomings``.

    Raises:
        BundleError: a file is missing or damaged.
        DeviceError: a device has not that name, or failed.
    """
    bundle = open_bundle(path)
    for file in files_of(bundle):
        check_file(file)
    canaries = load_canary(bundle.canary) if bundle.canary else None
    root = path.resolve()
    for name in expand(device):
        try:
            engine = load_device(name)
            probe = engine.probe()
            missing = "" if probe.available else f"{probe.reason}. Fix: {probe.fix}"
        except DeviceUnavailable as error:
            yield Verdict("", "", name, skipped=str(error))
            continue
        for artifact in bundle.artifacts:
            if artifact.format in engine.formats and artifact.compiled_for == engine.compiled_for:
                shown = str(Path(artifact.path).relative_to(root))
                if missing:
                    yield Verdict(shown, artifact.precision, name, skipped=missing)
                else:
                    yield _verify(bundle, canaries, artifact, shown, engine, options, photos, max_drop)


def _verify(
    bundle: Bundle,
    canaries: Canary | None,
    artifact: Artifact,
    shown: str,
    engine: Device,
    options: OpenOptions,
    photos: Photos | None,
    max_drop: float | None,
) -> Verdict:
    with open_model(engine, artifact.model(), options) as session:
        canary = check_canary(canaries, session)
        logits = None if photos is None else session.run(photos.pixels)
    failed: tuple[str, ...] = () if canary is None or canary.passed else (f"canary {canary}",)
    if photos is None or logits is None:
        return Verdict(shown, artifact.precision, engine.name, canary=canary, failed=failed)
    comparison = _with_reference(bundle, artifact, photos, logits)
    if comparison is not None:
        failed += shortcomings(comparison, artifact.precision, max_drop)
    return Verdict(
        path=shown,
        precision=artifact.precision,
        device=engine.name,
        canary=canary,
        comparison=comparison,
        accuracy=Share.of(logits.argmax(axis=1) == photos.labels),
        logits=comparable(logits, artifact.output),
        scale=artifact.output.scale,
        failed=failed,
    )


def _with_reference(bundle: Bundle, artifact: Artifact, photos: Photos, logits: Logits) -> Comparison | None:
    """The comparison over the photos that the reference knows; None where it knows none."""
    if bundle.reference is None:
        return None
    reference = load_reference(bundle.reference)
    precision = "int8" if artifact.is_int8 else "float"
    place = reference.find(photos.pixels)
    known = np.flatnonzero(place >= 0)
    if not len(known) or precision not in reference.logits:
        return None
    name = artifact.parity.reference if artifact.parity else precision
    return compare(
        name,
        comparable(reference.logits[precision][place[known]], artifact.output),
        comparable(logits[known], artifact.output),
        photos.labels[known],
        bundle.labels,
        scale=artifact.output.scale,
        photos=known,
    )


def report_of(bundle: Bundle, verdicts: list[Verdict], max_drop: float | None = None) -> ParityReport:
    """The parity report of what was run on photos."""
    run = [verdict for verdict in verdicts if verdict.logits is not None]
    devices = Counter(verdict.path for verdict in run)
    logits = {
        verdict.path if devices[verdict.path] == 1 else f"{verdict.path} on {verdict.device}": (
            verdict.logits,
            verdict.scale,
        )
        for verdict in run
        if verdict.logits is not None
    }
    return ParityReport(
        name=bundle.name,
        photos=len(run[0].logits) if run and run[0].logits is not None else 0,
        gate=gate_words(max_drop),
        artifacts=tuple(
            Compared(verdict.path, verdict.precision, verdict.device, verdict.comparison, verdict.failed)
            for verdict in run
        ),
        pairs=compare_pairs(logits),
    )
