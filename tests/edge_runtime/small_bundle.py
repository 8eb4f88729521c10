"""A bundle without a network, for the simulated device: what surrounds a model needs no training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from linnet_devices.api import TensorSpec
from linnet_runtime.bundle import MANIFEST, Artifact, Bundle, Provenance
from linnet_runtime.bundle_files import describe_file, write_bundle
from linnet_runtime.preprocess import Preprocess

LABELS = ("bolt", "nut", "washer")
SIDE = 12
MODEL = "model.int8.tflite"
WEIGHTS = "openvino/int8.bin"


def manifest_of(directory: Path, labels: tuple[str, ...] = LABELS) -> Bundle:
    """Two artifacts whose files are a few bytes: no engine reads them, and the simulated device need not."""
    (directory / "openvino").mkdir()
    for name in (MODEL, "openvino/int8.xml", WEIGHTS):
        (directory / name).write_bytes(f"no network, {name}".encode())
    pixels = TensorSpec(name="pixels", shape=(1, SIDE, SIDE, 3), dtype="uint8", layout="NHWC")
    logits = TensorSpec(name="logits", shape=(1, len(labels)), dtype="float32", layout="NC", values="logits")

    def artifact(name: str, artifact_format: Any, weights: str | None = None) -> Artifact:
        file = describe_file(directory / name, directory)
        return Artifact(
            path=file.path,
            format=artifact_format,
            precision="int8",
            bytes=file.bytes,
            sha256=file.sha256,
            input=pixels,
            output=logits,
            weights=describe_file(directory / weights, directory) if weights else None,
        )

    return Bundle(
        schema=1,
        name="small",
        labels=labels,
        preprocess=Preprocess(height=SIDE, width=SIDE),
        artifacts=(artifact(MODEL, "tflite"), artifact("openvino/int8.xml", "openvino", WEIGHTS)),
        provenance=Provenance(source="a test", created="2025-01-01T00:00:00Z", versions={}),
    )


def write_small_bundle(path: Path, *, overwrite: bool = False, labels: tuple[str, ...] = LABELS) -> Path:
    write_bundle(path, lambda directory: manifest_of(directory, labels), overwrite=overwrite)
    return path


def edit_manifest(bundle: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Changes ``bundle.json`` as a careless hand or another program might."""
    path = bundle / MANIFEST
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))
