"""Whether a bundle's models are still the models that were converted, and still agree with those that were trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linnet_devices.api import Artifact, Device, DeviceUnavailable, OpenOptions, Parity
from linnet_devices.registry import expand, load_device
from linnet_runtime.bundle import Bundle, check_file, files_of, open_bundle
from linnet_runtime.canary import Canary, CanaryResult, check_canary, load_canary
from linnet_runtime.parity import agrees, compare_logits
from linnet_runtime.photos import Photos
from linnet_runtime.reference import load_reference


@dataclass(frozen=True)
class Verdict:
    """What was found of one artifact on one device.

    ``parity`` is against the Keras model, over those of the photos that it was asked about when the bundle was made;
    None without such photos. ``accuracy`` is top-1 over all ``n`` photos given. ``skipped`` says why nothing was run.
    """

    path: str
    precision: str
    device: str
    skipped: str = ""
    canary: CanaryResult | None = None
    parity: Parity | None = None
    accuracy: float | None = None
    n: int = 0

    @property
    def passed(self) -> bool:
        canary_passed = self.canary is None or self.canary.passed
        return not self.skipped and canary_passed and (self.parity is None or agrees(self.parity, self.precision))


def verify_bundle(path: Path, photos: Photos | None, *, device: str, options: OpenOptions) -> Iterator[Verdict]:
    """Checks every hash, then gives a verdict for each artifact on each device of ``device`` that reads it.

    A device that is not here gives a verdict that says so; it proves nothing and refutes nothing.

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
            compiled_for = getattr(engine, "compiled_for", None)
            if artifact.format in engine.formats and artifact.compiled_for == compiled_for:
                shown = str(Path(artifact.path).relative_to(root))
                if missing:
                    yield Verdict(shown, artifact.precision, name, skipped=missing)
                else:
                    yield _verify(bundle, canaries, artifact, shown, engine, options, photos)


def _verify(
    bundle: Bundle,
    canaries: Canary | None,
    artifact: Artifact,
    shown: str,
    engine: Device,
    options: OpenOptions,
    photos: Photos | None,
) -> Verdict:
    with engine.open(artifact, options) as session:
        canary = check_canary(canaries, session)
        if photos is None:
            return Verdict(shown, artifact.precision, engine.name, canary=canary)
        logits = session.run(photos.pixels)
    accuracy = float((logits.argmax(axis=1) == photos.labels).mean())
    parity = None
    if bundle.reference is not None:
        reference = load_reference(bundle.reference)
        place = reference.find(photos.pixels)
        known = np.flatnonzero(place >= 0)
        keras = reference.logits["int8" if artifact.is_int8 else "float"]
        if len(known):
            parity = compare_logits("keras", keras[place[known]], logits[known], photos.labels[known])
    return Verdict(shown, artifact.precision, engine.name, "", canary, parity, accuracy, len(photos))
