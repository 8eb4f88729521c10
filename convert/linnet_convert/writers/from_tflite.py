"""A .tflite in the other formats: ONNX from the .tflite, OpenVINO from the ONNX."""

from __future__ import annotations

from pathlib import Path

from linnet_convert.progress import OnStep
from linnet_convert.writers.onnx import to_onnx
from linnet_convert.writers.openvino import STORED_IN_IR, to_openvino
from linnet_devices.api import Format, Precision
from linnet_runtime.bundle import Artifact


def write_from_tflite(
    tflite: Path, precision: Precision, root: Path, formats: set[Format], on_step: OnStep
) -> list[Artifact]:
    """Writes those of ``formats`` that are made from a .tflite; an IR is made from an .onnx, which is written too.

    Args:
        tflite: one picture in, one row of logits out.
        precision: of the .tflite. Float weights are stored in half precision in an IR.
        root: the bundle's directory.
        formats: those that are wanted.
        on_step: called with each step that starts.

    Raises:
        ConversionError: an operator that cannot be translated, by its name.
    """
    if not formats & {"onnx", "openvino"}:
        return []
    on_step(f"ONNX, {precision}")
    artifacts = [to_onnx(tflite, precision, root)]
    if "openvino" in formats:
        on_step(f"OpenVINO, {precision}")
        artifacts.append(to_openvino(root / artifacts[0].path, tflite, STORED_IN_IR[precision], root))
    return artifacts
