"""Another model in a model's place, with the right hash in the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edge_runtime.small_bundle import edit_manifest

ARTIFACTS = {
    "model.int8.tflite": "cpu:litert",
    "model.fp32.tflite": "cpu:litert",
    "model.int8.onnx": "cpu:onnx",
    "model.fp32.onnx": "cpu:onnx",
    "openvino/int8.xml": "cpu:openvino",
    "openvino/fp16.xml": "cpu:openvino",
}
Change = Callable[[Path], bytes]


def other_weights(path: Path) -> bytes:
    """An int8 model with the weights of its widest layer turned over; they are the same bytes in every format."""
    bundle = next(parent for parent in path.parents if parent.suffix == ".linnet")
    tensors = map(numpy_helper.to_array, onnx.load(bundle / "model.int8.onnx").graph.initializer)
    weights = max(tensors, key=lambda tensor: tensor.size)
    model = path.read_bytes()
    assert weights.dtype == np.int8
    assert model.count(weights.tobytes()) == 1
    return model.replace(weights.tobytes(), (~weights).tobytes())


def prefers_the_fourth_class(path: Path) -> bytes:
    """The float ONNX with a bias of its last layer changed: another model with the same signature."""
    network = onnx.load(path)
    bias = next(tensor for tensor in network.graph.initializer if list(tensor.dims) == [7])
    values = numpy_helper.to_array(bias).copy()
    values[3] += 20
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    return network.SerializeToString()


def swap(bundle: Path, name: str, change: Change) -> None:
    """Puts another model in a model's place, with its size and hash in the manifest."""
    path = bundle / name
    data = change(path)
    path.write_bytes(data)

    def edit(manifest: dict[str, Any]) -> None:
        entries = [*manifest["artifacts"], *(artifact["weights"] for artifact in manifest["artifacts"])]
        (entry,) = (entry for entry in entries if entry and entry["path"] == name)
        entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    edit_manifest(bundle, edit)


def all_logits_doubled(path: Path) -> bytes:
    """The float ONNX with its last layer twice as large: each label is the one that it was."""
    network = onnx.load(path)
    head = {
        name
        for node in network.graph.node
        if any(tensor.name in node.input and 7 in tensor.dims for tensor in network.graph.initializer)
        for name in node.input
    }
    for tensor in network.graph.initializer:
        if tensor.name in head and 7 in tensor.dims:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, tensor.name))
    return network.SerializeToString()
