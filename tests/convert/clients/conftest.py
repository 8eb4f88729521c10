"""The bundle that is exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.clients.names import LABELS, MODEL
from linnet_convert.writers.artifacts import describe_artifact
from linnet_devices.testing.samples import HEIGHT, WIDTH, load_models
from linnet_runtime.bundle import Bundle, Provenance
from linnet_runtime.bundle_files import write_bundle
from linnet_runtime.preprocess import Preprocess


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of the conformance suite's int8 .tflite, whose temperature is not 1."""
    (model,) = (model for model in load_models() if model.format == "tflite" and model.precision == "int8")

    def fill(directory: Path) -> Bundle:
        copy = directory / MODEL
        copy.write_bytes(Path(model.path).read_bytes())
        return Bundle(
            schema=1,
            name="parts",
            labels=LABELS,
            preprocess=Preprocess(height=HEIGHT, width=WIDTH),
            artifacts=(describe_artifact(directory, copy, "tflite", "int8", (model.input, model.output)),),
            provenance=Provenance(source="a test", created="2025-01-01T00:00:00Z", versions={}),
            temperature=0.4,
        )

    write_bundle(tmp_path / "parts.linnet", fill, overwrite=False)
    return tmp_path / "parts.linnet"
