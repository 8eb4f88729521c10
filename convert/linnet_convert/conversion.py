"""A source to a bundle: its models in every format, each proven against its original before the bundle exists.
Internal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import UNSET

from linnet_convert.clients.api import Exported
from linnet_convert.facts import FORMATS
from linnet_convert.features.write import write_features
from linnet_convert.integer import IntegerReport, integer_report, refuse_dynamic_range
from linnet_convert.metadata.write import write_metadata
from linnet_convert.progress import OnStep
from linnet_convert.proof.parity import Sample, artifact_logits, measure_parity
from linnet_convert.proof.report import Proof, refuse_failed, write_reports
from linnet_convert.readiness import Readiness, check_readiness
from linnet_convert.sources.api import About, Source
from linnet_convert.targets import Targets
from linnet_devices.api import Format, Logits, Pixels
from linnet_runtime.bundle import MANIFEST, Artifact, Bundle, Features, Provenance
from linnet_runtime.bundle_files import describe_file, write_manifest
from linnet_runtime.features.head import HEAD, Head
from linnet_runtime.files.folders import new_directory, write_whole
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.probabilities import comparable
from linnet_runtime.proof.canary import CANARY, PICTURES, Canary, make_tolerance, save_canary
from linnet_runtime.proof.reference import REFERENCE, save_reference

if TYPE_CHECKING:
    from linnet_convert.proof.layerwise import LayerDifference

READINESS = "report/readiness.json"
_TOOLS = ("linnet", "keras", "tensorflow", "onnx", "onnxruntime", "openvino", "ai-edge-litert")


@dataclass(frozen=True)
class Conversion:
    """A bundle that was written."""

    path: Path
    """The bundle's directory."""
    bundle: Bundle
    """Its manifest; the paths in it are relative to ``path``."""
    integers: tuple[IntegerReport, ...]
    """What each artifact computes in."""
    readiness: tuple[Readiness, ...]
    """Whether the accelerators that were asked about will take it."""
    exported: tuple[Exported, ...] = ()
    """What was written for other people's clients."""
    compiled: tuple[Artifact, ...] = ()
    """The models that vendors' compilers made."""


def convert_source(
    source: Source,
    out: Path,
    targets: Targets,
    *,
    canary_photos: bool,
    overwrite: bool,
    on_step: OnStep,
    max_drop: float | None = None,
) -> Conversion:
    """Writes the bundle ``out``.

    Args:
        source: the run, or the model made elsewhere.
        out: the bundle's directory.
        targets: formats, all of which the source can become, accelerators whose requirements are checked, and whether
            feature artifacts are written. The Edge TPU's compiler is run where it is installed, and the model that it
            compiles joins the bundle.
        canary_photos: whether validation photos may be in the bundle, as canaries and on the report's page. If not, the
            canaries are noise.
        overwrite: whether ``out`` may be replaced.
        on_step: called with each step that starts.
        max_drop: points of accuracy that an artifact may lose; None: there is no such gate. See ``shortcomings``.

    Raises:
        ConversionError: an artifact cannot be made, does not compute in int8 though it should, or does not agree with
            its original; or features are wanted and impossible. No bundle is written.
    """
    name, about = out.name.removesuffix(".linnet"), source.about
    sample = _sample(about)
    with new_directory(out, overwrite=overwrite, marker=MANIFEST) as root:
        formats = set(targets.among(about.formats))
        artifacts, layers, head = _write_artifacts(source, formats, sample, root, on_step, targets.features)
        on_step("asking the engines what is in integers")
        integers = _integer_reports(artifacts, root)
        on_step(f"running {about.name} on photos")
        originals = source.originals(sample.pixels)
        artifacts, parity = measure_parity(
            artifacts, root, sample, originals, head, on_step=on_step, name=name, max_drop=max_drop
        )
        refuse_failed(parity, layers)
        on_step("reports")
        proof = Proof(parity, integers, layers, _calibration_report(source))
        write_reports(root, proof, sample.pixels if canary_photos and about.validation is not None else None)
        readiness, compiled = _check_accelerators(targets.accelerators, _plain(artifacts), root, on_step)
        artifacts += compiled
        on_step("canaries")
        pictures = sample.pixels[:PICTURES] if canary_photos else _noise(about.preprocess)
        save_canary(root / CANARY, _canary(pictures, artifacts, root, head))
        if logits := originals.logits():
            save_reference(root / REFERENCE, sample.pixels, logits)
        bundle = write_manifest(root, _manifest(name, about, artifacts, root))
    return Conversion(out, bundle, integers, readiness)


def _sample(about: About) -> Sample:
    """The validation photos, or noise where there are none."""
    photos = about.validation
    if photos is None:
        return Sample(_noise(about.preprocess), None, about.labels)
    return Sample(photos.pixels, photos.labels, about.labels)


def _noise(size: Preprocess) -> Pixels:
    """Pictures of noise, each with other limits for each color: many networks see nothing but the mean of noise."""
    rng = np.random.default_rng(0)
    limits = np.sort(rng.integers(0, 256, (2, PICTURES, 1, 1, 3)), axis=0)
    return rng.integers(limits[0], limits[1], (PICTURES, size.height, size.width, 3), dtype=np.uint8, endpoint=True)


def _write_artifacts(
    source: Source, wanted: set[Format], sample: Sample, root: Path, on_step: OnStep, features: bool
) -> tuple[tuple[Artifact, ...], tuple[LayerDifference, ...], Head | None]:
    """Writes the artifacts, and compares the int8 .tflite layer by layer, also where it is a step to another format.

    Returns:
        The artifacts by format, int8 first, with metadata for other programs in them, and last the feature artifacts;
        the comparison; and the head of the feature artifacts.
    """
    about = source.about
    written = source.write(root, wanted, on_step)
    on_step("comparing layer by layer")
    int8_tflite = [root / artifact.path for artifact in written if artifact.format == "tflite" and artifact.is_int8]
    layers = source.compare_layers(int8_tflite[0], sample.pixels) if int8_tflite else ()
    of_features = write_features(written, wanted, root, on_step) if features else None
    finished = []
    for artifact in sorted(written, key=lambda artifact: (FORMATS.index(artifact.format), not artifact.is_int8)):
        if artifact.format not in wanted:
            (root / artifact.path).unlink()
        elif (artifact.format, artifact.precision) == about.copied:
            finished.append(artifact)
        else:
            finished.append(write_metadata(root, artifact, about.labels, about.preprocess))
    if of_features is None:
        return tuple(finished), layers, None
    return (*finished, *of_features.artifacts), layers, of_features.head


def _plain(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """The artifacts whose output is the logits."""
    return tuple(artifact for artifact in artifacts if artifact.output.values != "features")


def _integer_reports(artifacts: Iterable[Artifact], root: Path) -> tuple[IntegerReport, ...]:
    """Raises ConversionError for an int8 artifact of which only the weights are integers."""
    reports = []
    for artifact in artifacts:
        report = integer_report(artifact, root)
        refuse_dynamic_range(artifact, report)
        reports.append(report)
    return tuple(reports)


def _calibration_report(source: Source) -> dict[str, Any]:
    """The calibration photos by hash, and how well the ranges fit photos; {} where no range was set here."""
    about = source.about
    report = about.calibration.summary(about.labels) if about.calibration is not None else {}
    photos = about.validation if about.validation is not None else about.calibration
    if photos is not None and (coverage := source.coverage(photos.pixels)):
        report["coverage"] = msgspec.to_builtins(coverage)
    return report


def _check_accelerators(
    accelerators: Iterable[str], artifacts: tuple[Artifact, ...], root: Path, on_step: OnStep
) -> tuple[tuple[Readiness, ...], tuple[Artifact, ...]]:
    """Whether each will take the bundle, written to ``READINESS`` too, and the artifacts that their compilers made."""
    checked: list[Readiness] = []
    compiled: tuple[Artifact, ...] = ()
    for accelerator in accelerators:
        on_step(f"checking for {accelerator}")
        readiness, made = check_readiness(accelerator, (*artifacts, *compiled), root)
        checked.append(readiness)
        compiled += made
    if checked:
        write_whole(root / READINESS, msgspec.json.format(msgspec.json.encode(checked), indent=2) + b"\n")
    return tuple(checked), compiled


def _canary(pictures: Pixels, artifacts: Iterable[Artifact], root: Path, head: Head | None) -> Canary:
    logits: dict[str, Logits] = {}
    tolerance: dict[str, float] = {}
    for int8 in (True, False):
        alike = [artifact for artifact in artifacts if artifact.is_int8 == int8 and not artifact.compiled_for]
        of_alike = {
            Path(artifact.path).name: comparable(artifact_logits(artifact, root, pictures, head), artifact.output)
            for artifact in alike
        }
        if not of_alike:
            continue
        logits |= of_alike
        scales = [artifact.output.scale for artifact in _plain(artifacts) if artifact.output.scale is not None]
        step = scales[0] if scales else float(np.ptp(np.stack(list(of_alike.values())))) / 255
        tolerance |= dict.fromkeys(of_alike, make_tolerance(of_alike, step))
    return Canary(pictures, logits, tolerance)


def _manifest(name: str, about: About, artifacts: tuple[Artifact, ...], root: Path) -> Bundle:
    of_features = tuple(artifact for artifact in artifacts if artifact.output.values == "features")
    return Bundle(
        name=name,
        labels=about.labels,
        preprocess=about.preprocess,
        artifacts=_plain(artifacts),
        provenance=Provenance(
            source=about.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=_versions(),
        ),
        temperature=about.temperature,
        metrics=about.metrics,
        canary=describe_file(root / CANARY, root),
        reference=describe_file(root / REFERENCE, root) if (root / REFERENCE).exists() else None,
        features=Features(artifacts=of_features, head=describe_file(root / HEAD, root)) if of_features else UNSET,
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in _TOOLS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # tensorflow-cpu is the same module under another name
            found[package] = version(f"{package}-cpu")
    return found
