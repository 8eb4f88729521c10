"""A SavedModel of TensorFlow's: a folder with saved_model.pb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from linnet_convert.errors import ConversionError
from linnet_convert.facts import Facts, OpenSides, TensorFacts, Values, check_classes, check_picture, close_sides
from linnet_convert.readers.closing import noise, sums_to_one

_MOVES = {"Identity", "Reshape", "Squeeze", "Cast"}
_VALUES: dict[str, Values] = {"Softmax": "probabilities", "Sigmoid": "independent_probabilities"}
# Operators that access files or call code. Those that restore weights are left out.
_REACHES_OUT = ("File", "Py", "Print", "Save", "Checkpoint", "Socket", "Http", "Debug")
_OF_RESTORING = {"SaveV2", "MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec"}


def read(path: Path, sides: OpenSides) -> Facts:
    """Reads it, closes what it leaves open, and runs it once. Raises as ``readers.tflite.read``."""
    _check_operators(path)
    loaded = tf.saved_model.load(path)
    function, given_name, wanted_name = signature_of(path, loaded)
    given = _tensor(given_name, function.structured_input_signature[1][given_name])
    wanted = _tensor(wanted_name, function.structured_outputs[wanted_name])
    given, wanted = check_picture(str(path), [given], [wanted])
    given = msgspec.structs.replace(given, shape=close_sides(given.shape, sides))
    values = _values(function)
    if None not in given.shape:
        outputs = np.asarray(function(**{given_name: tf.constant(noise(given.shape, given.dtype))})[wanted_name])  # type: ignore[arg-type]
        wanted = msgspec.structs.replace(wanted, shape=outputs.shape)
        check_classes(str(path), given, wanted)
        if values == "logits" and sums_to_one(outputs):
            values = "probabilities"
    return Facts(kind="saved_model", precision="float32", input=given, output=wanted, values=values)


def _values(function: Any) -> Values:
    """By the last operator behind those that only move values; functions within the function are spelt out."""
    (tensor,) = convert_variables_to_constants_v2(function).outputs
    while tensor.op.type in _MOVES:
        tensor = tensor.op.inputs[0]
    return _VALUES.get(tensor.op.type, "logits")


def signature_of(path: Path, loaded: Any) -> tuple[Any, str, str]:
    """A loaded model's one signature, and the names of its input and its output. It holds the model's variables only as
    long as somebody holds the model.

    Raises:
        ConversionError: several signatures and none that serves, or several inputs or outputs.
    """
    signatures = loaded.signatures
    named = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
    if named is None or (named != "serving_default" and len(signatures) > 1):
        got = "signatures " + ", ".join(signatures) if signatures else "no signature"
        raise ConversionError(str(path), got=got, expected="one, serving_default", fix="model.export(FOLDER) of Keras")
    function = signatures[named]
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        every = [[_tensor(name, tensor) for name, tensor in ends.items()] for ends in (inputs, outputs)]
        check_picture(str(path), *every)
    return function, next(iter(inputs)), next(iter(outputs))


def _check_operators(path: Path) -> None:
    """Raises ConversionError where the graph would read or write files, or call code."""
    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    for meta in saved.meta_graphs:
        graph = meta.graph_def
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        for operator in sorted({node.op for node in nodes} - _OF_RESTORING):
            if any(word in operator for word in _REACHES_OUT):
                raise ConversionError(str(path), got=f"the operator {operator}", expected="a model that only computes")


def _tensor(name: str, spec: Any) -> TensorFacts:
    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    return TensorFacts(name=name, shape=tuple(shape), dtype=spec.dtype.name)
