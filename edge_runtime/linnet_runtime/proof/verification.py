"""Whether a bundle's models are still the models that were converted, and still agree with those that were trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from linnet_devices.api import Device, DeviceUnavailable, Logits, OpenOptions, Tier
from linnet_devices.registry import expand, load_device
from linnet_runtime.bundle import Artifact, Bundle, open_bundle
from linnet_runtime.bundle_files import check_file, files_of
from linnet_runtime.features.head import Head, load_head, logit_step, logits_from
from linnet_runtime.photos.listing import Photos
from linnet_runtime.probabilities import comparable
from linnet_runtime.proof.canary import Canary, CanaryResult, canary_name, check_canary, load_canary
from linnet_runtime.proof.comparison import Comparison, Share, compare
from linnet_runtime.proof.gates import gate_words, shortcomings
from linnet_runtime.proof.reference import Reference, load_reference
from linnet_runtime.proof.report import Compared, ParityReport, compare_pairs
from linnet_runtime.sessions import open_model, reads, why_stale


@dataclass(frozen=True)
class Verdict:
    """The result of checking one artifact on one device."""

    path: str
    """The artifact's path in the bundle."""
    precision: str
    device: str
    skipped: str = ""
    """Why nothing was run; empty where it was."""
    canary: CanaryResult | None = None
    """None where the bundle has no canary for the artifact."""
    comparison: Comparison | None = None
    """The comparison with the model that the artifact was made from, over the photos that the bundle's reference
    knows; None without such photos."""
    accuracy: Share | None = None
    """Top-1 over all photos given."""
    logits: Logits | None = None
    """The artifact's outputs on all photos given, float32 [N, classes]; see ``comparable``."""
    scale: float | None = None
    """A step of the output where it is quantized."""
    failed: tuple[str, ...] = ()
    """The gates that it misses, in words."""
    tier: Tier = "none"
    """What the device runs the model on; ``"none"`` where nothing was run."""
    unproven: str = ""
    """Why nothing was proven although the artifact was run; empty where something was."""

    @property
    def passed(self) -> bool:
        """Whether something was proven, and no gate missed."""
        return not (self.skipped or self.failed or self.unproven)


@dataclass(frozen=True)
class _Evidence:
    """What artifacts are compared with."""

    bundle: Bundle
    canary: Canary | None
    reference: Reference | None
    head: Head | None
    photos: Photos | None
    max_drop: float | None


def verify_bundle(
    path: Path, photos: Photos | None, *, device: str, options: OpenOptions, max_drop: float | None = None
) -> Iterator[Verdict]:
    """Checks every hash, then gives a verdict for each artifact on each device of ``device`` that reads it.

    A device that is not available gives a verdict that says so; it proves nothing and refutes nothing. ``max_drop`` is
    in points of accuracy; see ``shortcomings``.

    Raises:
        BundleError: a file is missing or damaged.
        DeviceError: no device has that name, or a device failed.
    """
    bundle = open_bundle(path)
    for file in files_of(bundle):
        check_file(file)
    evidence = _Evidence(bundle, load_canary(bundle), load_reference(bundle), load_head(bundle), photos, max_drop)
    for name in expand(device):
        try:
            engine = load_device(name)
        except DeviceUnavailable as error:
            yield Verdict("", "", name, skipped=str(error))
            continue
        probe = engine.probe()
        for _, artifact in bundle.rows():
            if not reads(engine, artifact):
                continue
            shown = str(Path(artifact.path).relative_to(path))
            if line := why_stale(bundle, artifact):
                yield Verdict(shown, artifact.precision, name, failed=(line,))
            elif probe.available:
                yield replace(_verify(evidence, artifact, shown, engine, options), tier=probe.tier)
            else:
                yield Verdict(shown, artifact.precision, name, skipped=f"{probe.reason}. Fix: {probe.fix}")


def _verify(evidence: _Evidence, artifact: Artifact, shown: str, engine: Device, options: OpenOptions) -> Verdict:
    photos = evidence.photos
    with open_model(engine, artifact.model(), options) as session:
        canary = check_canary(evidence.canary, session)
        blind = evidence.canary is not None and canary is not None and not evidence.canary.proves(canary_name(session))
        values = session.run(photos.pixels) if photos is not None else None
    logits = None if values is None else logits_from(values, session.model, evidence.head)
    comparison = accuracy = None
    failed: tuple[str, ...] = () if canary is None or canary.passed else (f"canary {canary}",)
    if photos is not None and logits is not None:
        accuracy = Share.of(logits.argmax(axis=1) == photos.labels)
        comparison = _compare_with_reference(evidence, artifact, photos, logits)
    if comparison is not None:
        failed += shortcomings(comparison, artifact.precision, evidence.max_drop)
    return Verdict(
        path=shown,
        precision=artifact.precision,
        device=engine.name,
        canary=canary,
        comparison=comparison,
        accuracy=accuracy,
        logits=None if logits is None else comparable(logits, artifact.output),
        scale=logit_step(artifact.output, evidence.head),
        failed=failed,
        unproven=_why_unproven(evidence, canary, comparison, blind=blind),
    )


def _compare_with_reference(
    evidence: _Evidence, artifact: Artifact, photos: Photos, logits: Logits
) -> Comparison | None:
    """The comparison over the photos that the reference knows; None where it knows none."""
    reference, precision = evidence.reference, "int8" if artifact.is_int8 else "float"
    if reference is None or precision not in reference.logits:
        return None
    place = reference.find(photos.pixels)
    known = np.flatnonzero(place >= 0)
    if not len(known):
        return None
    return compare(
        artifact.parity.reference if artifact.parity else precision,
        comparable(reference.logits[precision][place[known]], artifact.output),
        comparable(logits[known], artifact.output),
        photos.labels[known],
        evidence.bundle.labels,
        scale=logit_step(artifact.output, evidence.head),
        photos=known,
    )


def _why_unproven(
    evidence: _Evidence, canary: CanaryResult | None, comparison: Comparison | None, *, blind: bool
) -> str:
    """Why a run of an artifact proves nothing; empty where it was compared with something."""
    if comparison is not None:
        return ""
    if evidence.photos is None:
        unknown = "no photos are given"
    elif evidence.reference is None:
        unknown = "the bundle has no reference for photos"
    else:
        unknown = "the bundle's reference knows none of the photos"
    if evidence.max_drop is not None:
        return f"there is no accuracy to compare: {unknown}"
    if canary is None:
        return f"the bundle has no canary for it, and {unknown}"
    if blind:
        return f"its canary tolerates {canary.tolerance:.3g}, more than the range of its logits, and {unknown}"
    return ""


def report_of(name: str, verdicts: list[Verdict], max_drop: float | None = None) -> ParityReport:
    """The parity report of what was run on photos; ``name`` is the page's title."""
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
        name=name,
        photos=len(run[0].logits) if run and run[0].logits is not None else 0,
        gate=gate_words(max_drop),
        artifacts=tuple(
            Compared(verdict.path, verdict.precision, verdict.device, verdict.comparison, verdict.failed)
            for verdict in run
        ),
        pairs=compare_pairs(logits),
    )
