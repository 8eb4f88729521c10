"""A bundle's reports on its conversion: parity, integers, layers and calibration, as JSON and as one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from linnet_convert.errors import ConversionError
from linnet_convert.integer import IntegerReport
from linnet_devices.api import Pixels
from linnet_runtime.proof.page import render_proof
from linnet_runtime.proof.report import (
    CALIBRATION_JSON,
    FOLDER,
    INTEGER_JSON,
    LAYERS_JSON,
    PAGE,
    PARITY_JSON,
    ParityReport,
)

if TYPE_CHECKING:
    from linnet_convert.proof.layerwise import LayerDifference


@dataclass(frozen=True)
class Proof:
    """The findings of a conversion."""

    parity: ParityReport
    """Each artifact against the model that it was made from."""
    integers: tuple[IntegerReport, ...]
    """What each artifact computes in."""
    layers: tuple[LayerDifference, ...]
    """The int8 .tflite against Keras, layer by layer; () where there is no quantized Keras model."""
    calibration: dict[str, Any]
    """The calibration photos by hash, and how well the ranges fit; {} where no range was set."""


def refuse_failed(parity: ParityReport, layers: tuple[LayerDifference, ...]) -> None:
    """Raises ConversionError where artifacts missed their gates, with figures and the first layer that differs."""
    if parity.passed:
        return
    got = "; ".join(f"{row.path} {words}" for row in parity.artifacts for words in row.failed)
    if layers and any(row.failed and row.precision == "int8" for row in parity.artifacts):
        from linnet_convert.proof.layerwise import first_to_leave  # imports Keras

        first = first_to_leave(layers)
        if first is not None:
            got += f"; the first tensor to leave its tolerance in the .tflite: {first}"
        else:
            got += "; on the same inputs each layer of the .tflite agrees with Keras"
    raise ConversionError("parity", got=got, expected=parity.gate)


def write_reports(root: Path, proof: Proof, pixels: Pixels | None) -> None:
    """Writes the folder ``report`` of a bundle.

    Args:
        root: the bundle's directory.
        proof: the findings.
        pixels: the photos of the parity report; None: the report has no pictures.
    """
    folder = root / FOLDER
    folder.mkdir()
    files = {PARITY_JSON: {**msgspec.to_builtins(proof.parity), "passed": proof.parity.passed}}
    integers, layers = msgspec.to_builtins(proof.integers), msgspec.to_builtins(proof.layers)
    files[INTEGER_JSON] = {"artifacts": integers}
    if layers:
        files[LAYERS_JSON] = {"layers": layers}
    if proof.calibration:
        files[CALIBRATION_JSON] = proof.calibration
    for name, content in files.items():
        (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    page = render_proof(proof.parity, pixels, integer=integers, layers=layers, calibration=proof.calibration or None)
    (folder / PAGE).write_text(page)
