"""A source to a bundle: its models in every format, each proven against its model before the bundle exists."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from linnet_convert.parity import artifact_logits, measure_parity
from linnet_convert.sources.api import FORMATS, OnStep, Source
from linnet_devices.api import Artifact, Format, Logits, Pixels
from linnet_runtime.bundle import SCHEMA, Bundle, Provenance, describe_file, write_bundle
from linnet_runtime.canary import CANARY, PICTURES, Canary, make_tolerance, save_canary
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.reference import REFERENCE, save_reference

_TOOLS = ("linnet", "keras", "tensorflow", "onnx", "onnxruntime", "openvino", "ai-edge-litert")


def convert(
    source: Source,
    out: Path,
    *,
    formats: Iterable[Format],
    canary_photos: bool,
    overwrite: bool,
    on_step: OnStep,
) -> None:
    """Writes the bundle ``out``.

    Args:
        source: the run, or the model made elsewhere.
        out: the bundle's directory.
        formats: of the source's own.
        canary_photos: whether the canaries may be photos of the validation part; noise takes their place.
        overwrite: whether ``out`` may be replaced.
        on_step: hears what is done next.

    Raises:
        ConversionError: an artifact cannot be made, or does not agree with its model; no bundle is written then.
    """

    def fill(root: Path) -> Bundle:
        wanted = set(formats)
        artifacts = source.write(root, wanted, on_step)
        for artifact in artifacts:
            if artifact.format not in wanted:  # only a step on the way to another format
                (root / artifact.path).unlink()
        artifacts = tuple(sorted((a for a in artifacts if a.format in wanted), key=_place))
        on_step(f"running {source.name} on photos")
        photos = source.validation
        pixels = _noise(source.preprocess) if photos is None else photos.pixels
        reference = source.reference(pixels)
        labels = None if photos is None else photos.labels
        artifacts = measure_parity(
            artifacts, root, pixels, labels, reference, lambda artifact: on_step(f"compared {artifact.path}")
        )
        if reference:
            own = {precision: logits for precision, (_, logits) in reference.items()}
            save_reference(root / REFERENCE, pixels, own)
        on_step("canaries")
        save_canary(root / CANARY, _canary(_canary_pictures(source, canary_photos), artifacts, root))
        return Bundle(
            schema=SCHEMA,
            name=out.name.removesuffix(".linnet"),
            labels=source.labels,
            preprocess=source.preprocess,
            artifacts=artifacts,
            provenance=Provenance(
                source=source.name,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                versions=_versions(),
            ),
            temperature=source.temperature,
            metrics=source.metrics,
            canary=describe_file(root / CANARY, root),
            reference=describe_file(root / REFERENCE, root) if reference else None,
        )

    write_bundle(out, fill, overwrite=overwrite)


def _place(artifact: Artifact) -> tuple[int, bool]:
    """By format, int8 first."""
    return FORMATS.index(artifact.format), not artifact.is_int8


def _canary_pictures(source: Source, photos: bool) -> Pixels:
    return source.validation.pixels[:PICTURES] if photos and source.validation else _noise(source.preprocess)


def _noise(size: Preprocess) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (PICTURES, size.height, size.width, 3), dtype=np.uint8)


def _canary(pictures: Pixels, artifacts: Iterable[Artifact], root: Path) -> Canary:
    logits: dict[str, Logits] = {}
    tolerance: dict[str, float] = {}
    for precision in (True, False):
        alike = [artifact for artifact in artifacts if artifact.is_int8 == precision and not artifact.compiled_for]
        of_alike = {Path(artifact.path).name: artifact_logits(artifact, root, pictures) for artifact in alike}
        if not of_alike:
            continue
        logits |= of_alike
        scales = [artifact.output.scale for artifact in artifacts if artifact.output.scale is not None]
        step = scales[0] if scales else float(np.ptp(np.stack(list(of_alike.values())))) / 255
        tolerance |= dict.fromkeys(of_alike, make_tolerance(of_alike, step))
    return Canary(pictures, logits, tolerance)


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError

    found = {}
    for package in _TOOLS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # tensorflow-cpu is the same module under another name
            found[package] = version(f"{package}-cpu")
    return found
