"""The file name of an artifact, and its entry in the manifest: with Linnet's own signature (uint8 RGB [1, H, W, 3] in,
logits [1, classes] out), or with that of a model made elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from linnet_convert.readers.tflite_graph import Graph, Tensor
from linnet_devices.api import Format, Precision, TensorSpec
from linnet_runtime.bundle import Artifact
from linnet_runtime.bundle_files import describe_file

Outputs = Literal["logits", "features"]
_STEMS: dict[Precision, str] = {"int8": "int8", "float16": "fp16", "float32": "fp32"}


def model_path(
    root: Path, kind: Format, precision: Precision, *, compiled_for: str | None = None, values: Outputs = "logits"
) -> Path:
    """The path of a model in the bundle's directory ``root``: ``model.int8.tflite``, ``openvino/fp16.xml``,
    ``model.int8_edgetpu.tflite``, ``model.features.int8.onnx``. Makes the folder that it is in.
    """
    stem = (
        ("" if values == "logits" else f"{values}.") + _STEMS[precision] + (f"_{compiled_for}" if compiled_for else "")
    )
    path = root / (f"openvino/{stem}.xml" if kind == "openvino" else f"model.{stem}.{kind}")
    path.parent.mkdir(exist_ok=True)
    return path


def describe_artifact(
    root: Path,
    path: Path,
    kind: Format,
    precision: Precision,
    ends: tuple[TensorSpec, TensorSpec],
    *,
    weights: Path | None = None,
    requires: dict[str, str] | None = None,
) -> Artifact:
    """The manifest's entry of a model file.

    Args:
        root: the bundle's directory.
        path: the file, in that directory.
        kind: its format.
        precision: its precision.
        ends: its input and its output.
        weights: the second file of an IR.
        requires: see ``Artifact.requires``.
    """
    file = describe_file(path, root)
    return Artifact(
        path=file.path,
        format=kind,
        precision=precision,
        bytes=file.bytes,
        sha256=file.sha256,
        input=ends[0],
        output=ends[1],
        weights=describe_file(weights, root) if weights else None,
        requires=requires or {},
    )


def linnet_artifact(
    root: Path,
    path: Path,
    kind: Format,
    precision: Precision,
    graph: Graph,
    *,
    names: tuple[str, str],
    weights: Path | None = None,
    requires: dict[str, str] | None = None,
    values: Outputs = "logits",
) -> Artifact:
    """The manifest's entry of a .tflite, or of a file that was made from it with the same shapes and quantization.

    Args:
        root: the bundle's directory.
        path: the file, in that directory.
        kind: its format.
        precision: its precision.
        graph: of the .tflite.
        names: of the file's input and output. An int8 .tflite's output is uint8, as MediaPipe expects; in other formats
            it is float32.
        weights: the second file of an IR.
        requires: see ``Artifact.requires``.
        values: what the output holds.
    """
    pixels, logits = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    if kind != "tflite":
        logits = replace(logits, dtype=np.dtype(np.float32))
    ends = (_spec(pixels, names[0], "pixels"), _spec(logits, names[1], values))
    return describe_artifact(root, path, kind, precision, ends, weights=weights, requires=requires)


def _spec(tensor: Tensor, name: str, values: str) -> TensorSpec:
    quantization = tensor.quantization
    return TensorSpec(
        name=name,
        shape=tensor.shape,
        dtype=tensor.dtype.name,  # type: ignore[arg-type]  # one of the three, or the bundle's own check refuses it
        layout="NC" if values == "logits" else "NHWC",
        scale=float(quantization.scale[0]) if quantization else None,
        zero_point=int(quantization.zero_point[0]) if quantization else None,
        values=values,  # type: ignore[arg-type]  # "pixels" or Outputs
    )
