"""ONNX to OpenVINO's IR."""

from __future__ import annotations

import contextlib
from pathlib import Path

import openvino

from linnet_convert.errors import ConversionError
from linnet_convert.readers.tflite_graph import plain_ends, read_graph
from linnet_convert.tflite_to_onnx.translation import PIXELS
from linnet_convert.writers.artifacts import Outputs, linnet_artifact, model_path
from linnet_devices.api import Precision
from linnet_runtime.bundle import Artifact

STORED_IN_IR: dict[Precision, Precision] = {"int8": "int8", "float16": "float16", "float32": "float16"}
"""The precision of an IR's weights, by that of the ONNX model: float weights are stored in half precision."""


def to_openvino(onnx: Path, tflite: Path, precision: Precision, root: Path, *, values: Outputs = "logits") -> Artifact:
    """Writes ``openvino/PRECISION.xml`` and ``.bin`` into a bundle's directory, from an .onnx of ``to_onnx``.

    Args:
        onnx: the model; int8 for "int8", float for "float16", whose weights are stored in half precision.
        tflite: what the .onnx was made from.
        precision: "int8" or "float16".
        root: the bundle's directory.
        values: what the output holds.

    Raises:
        ConversionError: OpenVINO fails, in its own words.
    """
    path = model_path(root, "openvino", precision, values=values)
    write_ir(onnx, path, half=precision == "float16")
    graph = plain_ends(read_graph(tflite))
    weights = path.with_suffix(".bin")
    names = (PIXELS, values)
    return linnet_artifact(root, path, "openvino", precision, graph, names=names, weights=weights, values=values)


def write_ir(onnx: Path, path: Path, *, half: bool) -> None:
    """Writes an .onnx as an IR, .xml and .bin, with its weights in half precision or as they are.

    Raises:
        ConversionError: OpenVINO cannot read it, in its own words, or cannot write.
    """
    try:
        # OpenVINO would take a comma in the folder's name for the end of a first path.
        with contextlib.chdir(onnx.parent) if "," in str(onnx.parent) else contextlib.nullcontext():
            model = openvino.convert_model(Path(onnx.name) if "," in str(onnx.parent) else onnx)
    except RuntimeError as error:
        raise ConversionError(f"{onnx.name} by OpenVINO", got=str(error)) from error
    try:
        openvino.save_model(model, path, compress_to_fp16=half)
    except RuntimeError as error:  # for a full disk it is only "iostream error"
        raise ConversionError(
            str(path), got=str(error), expected="a file that can be written, and room for it"
        ) from error
