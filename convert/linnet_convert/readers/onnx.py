"""An .onnx: float, or quantised (QDQ or QLinear operators)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from linnet_convert.errors import ConversionError
from linnet_convert.facts import Facts, TensorFacts, check_task
from linnet_convert.metadata.model_info import PREFIX, read_model_info

_INTEGER = {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QuantizeLinear"}
_MOVES = {"Transpose", "Reshape", "Identity", "Flatten", "Squeeze", "QuantizeLinear", "DequantizeLinear"}
_DTYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.INT8: "int8"}


def load(path: Path, size: tuple[int, int] | None = None) -> onnx.ModelProto:
    """The model with the files beside it that it names: for one picture, and of that height and width, where it leaves
    them open.

    Raises:
        ConversionError: it is not ONNX.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # the errors of protobuf and of onnx share no base class
        raise ConversionError(str(path), got=f"{type(error).__name__}: {error}", expected="an .onnx") from error
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]  # older exporters list the weights there too
    del graph.input[:]
    graph.input.extend(inputs)
    for value in (*graph.input, *graph.output):
        _close(value, 0, 1)
    for value in graph.input:
        if size is not None:
            first = 1 if _shape(value)[-1] == 3 else 2
            for axis, side in enumerate(size, first):
                _close(value, axis, side)
    del graph.value_info[:]  # shapes that were inferred for open sides
    return model


def read(path: Path) -> Facts:
    """Reads it, and runs it once. Raises as ``read_tflite.read``."""
    model = load(path)
    graph = model.graph
    given, wanted = check_task(str(path), _tensors(graph.input), _tensors(graph.output))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    if None not in given.shape and given.dtype in _DTYPES.values():
        zeros = np.zeros([side or 1 for side in given.shape], given.dtype)
        (logits,) = session.run(None, {given.name: zeros})
        wanted = msgspec.structs.replace(wanted, shape=logits.shape)
    scale, zero_point = _steps(graph, given.name, "DequantizeLinear", forward=True)
    output_scale, output_zero_point = _steps(graph, wanted.name, "QuantizeLinear", forward=False)
    info = {entry.key.removeprefix(PREFIX): entry.value for entry in model.metadata_props}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    return Facts(
        kind="onnx",
        precision="int8" if _INTEGER & {node.op_type for node in graph.node} else "float32",
        input=msgspec.structs.replace(given, scale=scale, zero_point=zero_point),
        output=msgspec.structs.replace(wanted, scale=output_scale, zero_point=output_zero_point),
        softmax=_ends_in_softmax(graph),
        metadata=read_model_info(info),
        requires={"onnx_opset": str(opsets.get("", 0))},
    )


def _close(value: onnx.ValueInfoProto, axis: int, side: int) -> None:
    sides = value.type.tensor_type.shape.dim
    if axis < len(sides) and not sides[axis].dim_value:
        sides[axis].dim_value = side


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(side.dim_value or None for side in value.type.tensor_type.shape.dim)


def _tensors(values: Any) -> list[TensorFacts]:
    return [
        TensorFacts(
            name=value.name,
            shape=_shape(value),
            dtype=_DTYPES.get(
                value.type.tensor_type.elem_type, onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
            ),
        )
        for value in values
    ]


def _steps(graph: onnx.GraphProto, name: str, operator: str, *, forward: bool) -> tuple[float | None, int | None]:
    """Scale and zero point of a quantised input or output: of the operator that reads or writes it, however it is
    turned before.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in _neighbours(graph, name, forward=forward):
        if node.op_type == operator and len(node.input) == 3 and {*node.input[1:]} <= set(constants):
            scale, zero_point = (numpy_helper.to_array(constants[constant]) for constant in node.input[1:])
            return float(scale.ravel()[0]), int(zero_point.ravel()[0])
    return None, None


def _ends_in_softmax(graph: onnx.GraphProto) -> bool:
    return any(
        node.op_type in {"Softmax", "Sigmoid"} for node in _neighbours(graph, graph.output[0].name, forward=False)
    )


def _neighbours(graph: onnx.GraphProto, name: str, *, forward: bool) -> list[onnx.NodeProto]:
    """From an end of the graph inwards: the nodes that only move its values, and the first that does more."""
    found: list[onnx.NodeProto] = []
    while True:
        nodes = [node for node in graph.node if name in ((node.input[:1]) if forward else node.output)]
        if len(nodes) != 1 or len(found) > len(graph.node):
            return found
        found += nodes
        if nodes[0].op_type not in _MOVES:
            return found
        name = nodes[0].output[0] if forward else nodes[0].input[0]
