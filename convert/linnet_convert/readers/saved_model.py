"""A SavedModel of TensorFlow's: a folder with saved_model.pb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from linnet_convert.errors import ConversionError
from linnet_convert.facts import Facts, TensorFacts, check_task

_PICTURES = 4
_SUM_WITHIN = 1e-3
# Operators that reach out of the model, to files or to code. Those with which weights are restored are left out.
_REACHES_OUT = ("File", "Py", "Print", "Save", "Checkpoint", "Socket", "Http", "Debug")
_OF_RESTORING = {"SaveV2", "MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec"}


def read(path: Path) -> Facts:
    """Reads it, and runs it on a few pictures of noise. Raises as ``read_tflite.read``."""
    _check_operators(path)
    loaded = tf.saved_model.load(path)
    function, given_name, wanted_name = signature_of(path, loaded)
    given = _tensor(given_name, function.structured_input_signature[1][given_name])
    wanted = _tensor(wanted_name, function.structured_outputs[wanted_name])
    given, wanted = check_task(str(path), [given], [wanted])
    outputs = _outputs(function, given, wanted_name) if None not in given.shape[1:] else np.zeros((1, 1))
    return Facts(
        kind="saved_model",
        precision="float32",
        input=given,
        output=wanted,
        softmax=bool((outputs >= 0).all() and (np.abs(outputs.sum(axis=1) - 1) < _SUM_WITHIN).all()),
    )


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
        check_task(str(path), *every)
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


def _outputs(function: Any, given: TensorFacts, wanted: str) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    shape = [side or 1 for side in given.shape]
    rows = [
        function(**{given.name: tf.constant(rng.integers(0, 256, shape).astype(given.dtype))})[wanted]
        for _ in range(_PICTURES)
    ]
    return np.concatenate([np.asarray(row, np.float32).reshape(1, -1) for row in rows])


def _tensor(name: str, spec: Any) -> TensorFacts:
    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    return TensorFacts(name=name, shape=tuple(shape), dtype=spec.dtype.name)
