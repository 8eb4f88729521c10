"""Coral's Edge TPU: the documented requirements of edgetpu_compiler 16.0, its last version.

https://coral.ai/docs/edgetpu/models-intro lists requirements and operations. The compiler knows the operator versions
of mid 2021 and refuses a whole model for one newer version. The highest accepted ones are known only from refusals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from linnet_convert.readers.tflite_graph import Graph, Operator, read_graph
from linnet_convert.readiness.api import Requirement, requirement
from linnet_devices.presets import EDGETPU_OP

_OPERATORS = frozenset(
    [
        "ADD",
        "AVERAGE_POOL_2D",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "EXPAND_DIMS",
        "FULLY_CONNECTED",
        "L2_NORMALIZATION",
        "LOGISTIC",
        "MAXIMUM",
        "MAX_POOL_2D",
        "MEAN",
        "MINIMUM",
        "MUL",
        "PACK",
        "PAD",
        "PRELU",
        "QUANTIZE",
        "REDUCE_MAX",
        "REDUCE_MIN",
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "RSQRT",
        "SLICE",
        "SOFTMAX",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SQUEEZE",
        "STRIDED_SLICE",
        "SUB",
        "SUM",
        "SQUARED_DIFFERENCE",
        "TANH",
        "TRANSPOSE",
        "TRANSPOSE_CONV",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    ]
)
_NO_FUSED_ACTIVATION = {"AVERAGE_POOL_2D", "CONCATENATION", "MAX_POOL_2D"}
_ONE_DILATION = {"CONV_2D", "DEPTHWISE_CONV_2D"}
_HIGHEST_VERSION = {
    "CONV_2D": 5,  # github.com/google-coral/edgetpu/issues/631
    "QUANTIZE": 2,  # issues/879
    "TRANSPOSE_CONV": 3,  # issues/845
}
_INTEGERS = {np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.int64)}
_INNERMOST = 3  # dimensions of a tensor that may be more than 1
_SOFTMAX_MOST = 16_000
# By the compiler's logs about 7 of the chip's 8 MiB are available for parameters (issues/60, issues/393).
_CACHE_BYTES = 7 << 20


def check_edgetpu(path: Path) -> list[Requirement]:
    """The requirements for an int8 .tflite. A compiled one is recognized by its custom operator."""
    graph = read_graph(path)
    if any(operator.name == EDGETPU_OP for operator in graph.operators):
        return [Requirement("compiled", "met", f"it has {EDGETPU_OP}")]
    kinds = sorted({operator.name for operator in graph.operators})
    return [
        requirement("8-bit integers only", _float_tensors(graph), f"{len(graph.tensors)} tensors"),
        requirement("static shapes", _open_shapes(path), "no dimension is open"),
        requirement("batch 1, three innermost dimensions", _large_tensors(graph), "no tensor has more"),
        requirement(
            "operators that the compiler maps", [kind for kind in kinds if kind not in _OPERATORS], ", ".join(kinds)
        ),
        requirement("the operators' limits", [found for op in graph.operators for found in _limits(graph, op)], "kept"),
        requirement("versions that the compiler knows", _newer_versions(graph), _versions(graph)),
        _cache(graph),
    ]


def _float_tensors(graph: Graph) -> list[str]:
    return [f"{tensor.name} is {tensor.dtype}" for tensor in graph.tensors if tensor.dtype not in _INTEGERS]


def _open_shapes(path: Path) -> list[str]:
    """An open dimension is -1 in the tensor's shape signature; its shape has 1 there."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    signatures = {tensor.name: tensor.shapeSignature for tensor in model.subgraphs[0].tensors}
    return [
        f"{name.decode()} {signature.tolist()}"
        for name, signature in signatures.items()
        if signature is not None and min(signature, default=1) < 0
    ]


def _large_tensors(graph: Graph) -> list[str]:
    return [
        f"{tensor.name} {list(tensor.shape)}"
        for tensor in graph.tensors
        if tensor.data is None and any(side != 1 for side in tensor.shape[:-_INNERMOST])
    ]


def _limits(graph: Graph, operator: Operator) -> list[str]:
    """What an operator does that the documentation excludes."""
    name, options = operator.name, operator.options
    found = []
    if name in _NO_FUSED_ACTIVATION and options.get("fusedActivationFunction", "NONE") != "NONE":
        found.append(f"{name} with {options['fusedActivationFunction']}")
    if name in _ONE_DILATION and options.get("dilationHFactor") != options.get("dilationWFactor"):
        found.append(f"{name} dilated by {options['dilationHFactor']}x{options['dilationWFactor']}")
    if name == "SOFTMAX" and int(np.prod(graph.tensors[operator.inputs[0]].shape)) > _SOFTMAX_MOST:
        found.append(f"{name} of more than {_SOFTMAX_MOST}")
    return found


def _newer_versions(graph: Graph) -> list[str]:
    return [
        f"{operator.name} version {operator.version}, above {_HIGHEST_VERSION[operator.name]}"
        for operator in graph.operators
        if operator.version > _HIGHEST_VERSION.get(operator.name, operator.version)
    ]


def _versions(graph: Graph) -> str:
    versions = {operator.name: operator.version for operator in graph.operators}
    known = [f"{name} {version}" for name, version in sorted(versions.items()) if name in _HIGHEST_VERSION]
    unknown = [f"{name} {version}" for name, version in sorted(versions.items()) if name not in _HIGHEST_VERSION]
    return f"{', '.join(known) or 'none'}; no limit is published for {', '.join(unknown) or 'others'}"


def _cache(graph: Graph) -> Requirement:
    size = sum(tensor.data.nbytes for tensor in graph.tensors if tensor.data is not None)
    found = f"{size / 2**20:.2f} MiB of constants; the chip has room for about {_CACHE_BYTES >> 20} MiB"
    fits = size <= _CACHE_BYTES
    return Requirement(
        "parameters on the chip", "met" if fits else "note", found if fits else found + ", so the rest is streamed"
    )
