"""Integer reports: which operations of an artifact compute in integers, as the engine that runs it reports. One file a
format. Internal.
"""

from __future__ import annotations

from pathlib import Path

from linnet_convert.integer import onnx, openvino, tflite
from linnet_convert.integer.report import IntegerReport, refuse_dynamic_range, summarize
from linnet_runtime.bundle import Artifact

__all__ = ["IntegerReport", "integer_report", "refuse_dynamic_range"]

_READERS = {"tflite": tflite.read, "onnx": onnx.read, "openvino": openvino.read}


def integer_report(artifact: Artifact, root: Path) -> IntegerReport:
    """What an artifact below the bundle's directory ``root`` computes in, Linnet's own or made elsewhere.

    Raises:
        ConversionError: the engine cannot read it.
    """
    return summarize(artifact.path, _READERS[artifact.format](root / artifact.path))
