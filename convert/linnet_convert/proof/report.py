"""The reports of a conversion: parity, integers, layers and calibration, as JSON and as one page, in the bundle."""

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
    """What is known of a conversion. ``layers`` are there where Keras's quantised model is."""

    parity: ParityReport
    integers: tuple[IntegerReport, ...]
    layers: tuple[LayerDifference, ...]
    calibration: dict[str, Any]


def refuse_failed(parity: ParityReport, layers: tuple[LayerDifference, ...]) -> None:
    """Raises ConversionError where an artifact missed its gates: each with its figures, and the layer to look at."""
    if parity.passed:
        return
    got = "; ".join(f"{row.path} {words}" for row in parity.artifacts for words in row.failed)
    if layers and any(row.failed and row.precision == "int8" for row in parity.artifacts):
        from linnet_convert.proof.layerwise import first_to_leave  # see above

        first = first_to_leave(layers)
        if first is not None:
            got += f"; the first tensor to leave its tolerance in the .tflite: {first}"
        else:
            got += "; each layer of the .tflite computes what Keras's does of the same inputs"
    raise ConversionError("parity", got=got, expected=parity.gate)


def write_reports(root: Path, proof: Proof, pixels: Pixels | None) -> None:
    """Writes the folder ``report`` of a bundle.

    Args:
        root: the bundle's directory.
        proof: what to say.
        pixels: the photos of the parity report; None: no picture may be in the bundle.
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
