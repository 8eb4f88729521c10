"""Writes the feature artifacts of a bundle, in the formats of its int8 artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linnet_convert.features.cut import cut_behind
from linnet_convert.features.find import find_ending
from linnet_convert.progress import OnStep
from linnet_convert.readers.tflite_graph import read_graph
from linnet_convert.writers.artifacts import linnet_artifact, model_path
from linnet_convert.writers.onnx import to_onnx
from linnet_convert.writers.openvino import to_openvino
from linnet_devices.api import Format
from linnet_runtime.bundle import Artifact
from linnet_runtime.features.head import HEAD, Head, save_head


@dataclass(frozen=True)
class FeatureModels:
    """The feature artifacts of a bundle and the rest of the network."""

    artifacts: tuple[Artifact, ...]
    """One for each int8 artifact, in the same order."""
    head: Head
    """The pooling and the dense layer behind the feature map."""


def write_features(artifacts: Iterable[Artifact], root: Path, on_step: OnStep) -> FeatureModels | None:
    """Writes ``head.npz`` and the feature artifact of each int8 artifact below a bundle's directory.

    The .tflite is cut behind its last feature map; the ONNX model and the IR are made from the cut .tflite, as the
    others are from the whole one.

    Args:
        artifacts: those of the bundle, and the int8 .tflite that they were made from.
        root: the bundle's directory.
        on_step: called with each step that starts.

    Returns:
        None where the network ends in something else than global average pooling and one dense layer, or where it has
        no int8 .tflite.
    """
    plain = {artifact.format: artifact for artifact in artifacts if artifact.is_int8 and not artifact.compiled_for}
    whole = plain.get("tflite")
    ending = find_ending(read_graph(root / whole.path)) if whole is not None else None
    if whole is None or ending is None:
        return None
    on_step("features, int8")
    tflite = _cut_tflite(root, whole, ending.features)
    made: dict[Format, Artifact] = {"tflite": tflite}
    if "onnx" in plain or "openvino" in plain:
        made["onnx"] = to_onnx(root / tflite.path, "int8", root, values="features")
    if "openvino" in plain:
        onnx, cut = root / made["onnx"].path, root / tflite.path
        made["openvino"] = to_openvino(onnx, cut, "int8", root, values="features")
    save_head(root / HEAD, ending.head)
    # Their inputs are those of the int8 artifacts, also in what no file says, such as the order of colors.
    return FeatureModels(
        tuple(msgspec.structs.replace(made[kind], input=artifact.input) for kind, artifact in plain.items()),
        ending.head,
    )


def _cut_tflite(root: Path, whole: Artifact, features: int) -> Artifact:
    path = model_path(root, "tflite", "int8", values="features")
    path.write_bytes(cut_behind((root / whole.path).read_bytes(), features))
    graph = read_graph(path)
    names = (whole.input.name, graph.tensors[graph.outputs[0]].name)
    return linnet_artifact(root, path, "tflite", "int8", graph, names=names, values="features")
