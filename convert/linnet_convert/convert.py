"""A run to a bundle: every format from the two models, each proven against its model before the bundle exists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from linnet_convert.parity import artifact_logits, keras_logits, measure_parity
from linnet_convert.run_source import RunSource
from linnet_convert.to_onnx import to_onnx
from linnet_convert.to_openvino import to_openvino
from linnet_convert.to_tflite import to_tflite
from linnet_devices.api import Artifact, Logits, Pixels, Precision
from linnet_runtime.bundle import SCHEMA, Bundle, Provenance, describe_file, write_bundle
from linnet_runtime.canary import CANARY, PICTURES, Canary, make_tolerance, save_canary
from linnet_runtime.reference import REFERENCE, save_reference

FORMATS = ("tflite", "onnx", "openvino")
_TOOLS = ("linnet", "keras", "tensorflow", "onnx", "onnxruntime", "openvino", "ai-edge-litert")


def convert(
    source: RunSource,
    out: Path,
    *,
    formats: Iterable[str],
    canary_photos: bool,
    overwrite: bool,
    on_step: Callable[[str], None],
) -> None:
    """Writes the bundle ``out``.

    Args:
        source: the run.
        out: the bundle's directory.
        formats: of ``FORMATS``.
        canary_photos: whether the canaries may be photos of the validation part; noise takes their place.
        overwrite: whether ``out`` may be replaced.
        on_step: hears what is done next.

    Raises:
        ConversionError: an artifact cannot be made, or does not agree with its model; no bundle is written then.
    """

    def fill(root: Path) -> Bundle:
        artifacts = _write_artifacts(source, root, set(formats), on_step)
        on_step("running Keras on the validation photos")
        reference = {
            "int8": keras_logits(source.int8_model, source.validation.pixels),
            "float": keras_logits(source.float_model, source.validation.pixels),
        }
        artifacts = measure_parity(
            artifacts, root, source.validation, reference, lambda artifact: on_step(f"compared {artifact.path}")
        )
        save_reference(root / REFERENCE, source.validation.pixels, reference)
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
            metrics=source.metrics,
            canary=describe_file(root / CANARY, root),
            reference=describe_file(root / REFERENCE, root),
        )

    write_bundle(out, fill, overwrite=overwrite)


def _write_artifacts(
    source: RunSource, root: Path, formats: set[str], on_step: Callable[[str], None]
) -> tuple[Artifact, ...]:
    """All artifacts of the formats; what is only a step on the way to another format does not stay."""
    artifacts: list[Artifact] = []
    models = {"int8": source.int8_model, "float32": source.float_model}
    stored: dict[Precision, Precision] = {"int8": "int8", "float32": "float16"}  # in OpenVINO's .bin
    for precision in stored:
        on_step(f"TensorFlow Lite, {precision}")
        tflite = to_tflite(models[precision], precision, source.calibration.pixels, root)
        artifacts.append(tflite)
        if formats & {"onnx", "openvino"}:
            on_step(f"ONNX, {precision}")
            onnx = to_onnx(root / tflite.path, precision, root)
            artifacts.append(onnx)
        if "openvino" in formats:
            on_step(f"OpenVINO, {precision}")
            artifacts.append(to_openvino(root / onnx.path, root / tflite.path, stored[precision], root))
    for artifact in artifacts:
        if artifact.format not in formats:
            (root / artifact.path).unlink()
    order = {name: i for i, name in enumerate(FORMATS)}
    return tuple(sorted((a for a in artifacts if a.format in formats), key=lambda a: (order[a.format], not a.is_int8)))


def _canary_pictures(source: RunSource, photos: bool) -> Pixels:
    if photos:
        return source.validation.pixels[:PICTURES]
    shape = (PICTURES, *source.validation.pixels.shape[1:])
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _canary(pictures: Pixels, artifacts: Iterable[Artifact], root: Path) -> Canary:
    logits: dict[str, Logits] = {}
    tolerance: dict[str, float] = {}
    for precision in (True, False):
        alike = [artifact for artifact in artifacts if artifact.is_int8 == precision]
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
