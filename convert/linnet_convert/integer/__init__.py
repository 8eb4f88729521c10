"""Integer reports: what an artifact really computes in, found by asking the engine that runs it. One file a format."""

from __future__ import annotations

from pathlib import Path

from linnet_convert.integer import onnx, openvino, tflite
from linnet_convert.integer.report import IntegerReport, refuse_dynamic_range, summarise
from linnet_runtime.bundle import Artifact

__all__ = ["IntegerReport", "integer_report", "refuse_dynamic_range"]

_READERS = {"tflite": tflite.read, "onnx": onnx.read, "openvino": openvino.read}


def integer_report(artifact: Artifact, root: Path) -> IntegerReport:
    """What an artifact below ``root`` computes in, Linnet's own or made elsewhere.

    Raises:
        ConversionError: the engine cannot read it.
    """
    return summarise(artifact.path, _READERS[artifact.format](root / artifact.path))
