"""Writes the feature artifacts of a bundle, in the formats of its int8 artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linnet_convert.errors import ConversionError
from linnet_convert.facts import FORMATS
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
    """The feature artifacts of a bundle and the head that completes them."""

    artifacts: tuple[Artifact, ...]
    """One for each int8 artifact, by format."""
    head: Head
    """The pooling and the dense layer after the feature map."""


def write_features(artifacts: Iterable[Artifact], formats: set[Format], root: Path, on_step: OnStep) -> FeatureModels:
    """Writes ``head.npz`` and the feature artifact of each int8 artifact below a bundle's directory.

    The .tflite is cut after its last feature map. The ONNX model and the IR are made from the cut .tflite, as the
    int8 artifacts are made from the complete one.

    Args:
        artifacts: those of the bundle, and the int8 .tflite that they were made from.
        formats: those of the bundle's artifacts.
        root: the bundle's directory.
        on_step: called with each step that starts.

    Raises:
        ConversionError: there is no int8 .tflite, or the network does not end in global average pooling and one
            dense layer.
    """
    plain = {artifact.format: artifact for artifact in artifacts if artifact.is_int8 and not artifact.compiled_for}
    whole = plain.get("tflite")
    if whole is None:
        raise ConversionError("features", got="no int8 .tflite", expected="a run, or a model that becomes one")
    ending = find_ending(read_graph(root / whole.path))
    if ending is None:
        raise ConversionError(
            "features", got="another ending of the network", expected="global average pooling, one dense layer, logits"
        )
    on_step("features, int8")
    tflite = _cut_tflite(root, whole, ending.features)
    made = {"tflite": tflite}
    if not plain.keys().isdisjoint(("onnx", "openvino")):
        made["onnx"] = to_onnx(root / tflite.path, "int8", root, values="features")
    if "openvino" in plain:
        onnx, cut = root / made["onnx"].path, root / tflite.path
        made["openvino"] = to_openvino(onnx, cut, "int8", root, values="features")
    save_head(root / HEAD, ending.head)
    for kind in made.keys() - formats:
        (root / made[kind].path).unlink()
    # Their inputs are those of the int8 artifacts, also in what the files do not state, such as the order of colors.
    kept = [
        msgspec.structs.replace(made[kind], input=plain[kind].input)
        for kind in FORMATS
        if kind in formats & made.keys()
    ]
    return FeatureModels(tuple(kept), ending.head)


def _cut_tflite(root: Path, whole: Artifact, features: int) -> Artifact:
    path = model_path(root, "tflite", "int8", values="features")
    path.write_bytes(cut_behind((root / whole.path).read_bytes(), features))
    graph = read_graph(path)
    names = (whole.input.name, graph.tensors[graph.outputs[0]].name)
    return linnet_artifact(root, path, "tflite", "int8", graph, names=names, values="features")
