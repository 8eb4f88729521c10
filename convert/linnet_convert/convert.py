"""A source to a bundle: its models in every format, each proven against its model before the bundle exists."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from linnet_convert.integer import integer_report, refuse_dynamic_range
from linnet_convert.metadata import write_metadata
from linnet_convert.proof.parity import Sample, artifact_logits, measure_parity
from linnet_convert.proof.report import Proof, compare_with_keras, describe_calibration, refuse_failed, write_reports
from linnet_convert.readiness import Readiness, check_readiness
from linnet_convert.source import FORMATS, OnStep, Source
from linnet_convert.sources.file import FileSource
from linnet_devices.api import Format, Logits, Pixels
from linnet_runtime.bundle import SCHEMA, Artifact, Bundle, Provenance, describe_file, write_bundle
from linnet_runtime.decision import comparable
from linnet_runtime.files import write_whole
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.proof.canary import CANARY, PICTURES, Canary, make_tolerance, save_canary
from linnet_runtime.proof.reference import REFERENCE, save_reference

READINESS = "report/readiness.json"
_TOOLS = ("linnet", "keras", "tensorflow", "onnx", "onnxruntime", "openvino", "ai-edge-litert")


def convert(
    source: Source,
    out: Path,
    *,
    formats: Iterable[Format],
    canary_photos: bool,
    overwrite: bool,
    on_step: OnStep,
    max_drop: float | None = None,
    accelerators: Iterable[str] = (),
) -> tuple[Readiness, ...]:
    """Writes the bundle ``out``, and says whether accelerators' compilers will take what is in it.

    Args:
        source: the run, or the model made elsewhere.
        out: the bundle's directory.
        formats: of the source's own.
        canary_photos: whether photos of the validation part may be in the bundle, as canaries and on the report's
            page; noise takes the canaries' place.
        overwrite: whether ``out`` may be replaced.
        on_step: hears what is done next.
        max_drop: points of accuracy that an artifact may lose, if that is a gate; see ``shortcomings``.
        accelerators: whose requirements are checked, of ``ACCELERATORS``. The Edge TPU's compiler is run where it is
            installed, and what it makes joins the bundle.

    Raises:
        ConversionError: an artifact cannot be made, is not the int8 that it is said to be, or does not agree with its
            model; no bundle is written then.
    """
    name = out.name.removesuffix(".linnet")
    checked: list[Readiness] = []

    def fill(root: Path) -> Bundle:
        wanted = set(formats)
        artifacts = source.write(root, wanted, on_step)
        photos = source.validation
        pixels = _noise(source.preprocess) if photos is None else photos.pixels
        on_step("comparing layer by layer")
        layers = compare_with_keras(source, artifacts, root, pixels)
        for artifact in artifacts:
            if artifact.format not in wanted:  # only a step on the way to another format
                (root / artifact.path).unlink()
        artifacts = tuple(
            a if (a.format, a.precision) == source.copied else write_metadata(root, a, source.labels, source.preprocess)
            for a in sorted(artifacts, key=_place)
            if a.format in wanted
        )
        on_step("asking the engines what is in integers")
        integers = tuple(integer_report(artifact, root) for artifact in artifacts)
        for artifact, report in zip(artifacts, integers, strict=True):
            refuse_dynamic_range(artifact, report)
        on_step(f"running {source.name} on photos")
        reference = source.reference(pixels)
        artifacts, parity = measure_parity(
            artifacts,
            root,
            Sample(pixels, None if photos is None else photos.labels, source.labels),
            reference,
            lambda artifact: on_step(f"compared {artifact.path}"),
            name=name,
            max_drop=max_drop,
            given=reference.get("float") if isinstance(source, FileSource) else None,
        )
        refuse_failed(parity, layers)
        if reference:
            own = {precision: logits for precision, (_, logits) in reference.items()}
            save_reference(root / REFERENCE, pixels, own)
        on_step("reports")
        proof = Proof(parity, integers, layers, describe_calibration(source))
        write_reports(root, proof, pixels if canary_photos and photos is not None else None)
        for accelerator in accelerators:
            on_step(f"checking for {accelerator}")
            readiness, compiled = check_readiness(accelerator, artifacts, root)
            checked.append(readiness)
            artifacts += compiled
        if checked:
            write_whole(root / READINESS, msgspec.json.format(msgspec.json.encode(checked), indent=2) + b"\n")
        on_step("canaries")
        save_canary(root / CANARY, _canary(_canary_pictures(source, canary_photos), artifacts, root))
        return Bundle(
            schema=SCHEMA,
            name=name,
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
    return tuple(checked)


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
        of_alike = {
            Path(artifact.path).name: comparable(artifact_logits(artifact, root, pictures), artifact.output)
            for artifact in alike
        }
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
