"""An .onnx: float, or quantized (QDQ or QLinear operators)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from linnet_convert.errors import ConversionError
from linnet_convert.facts import Facts, OpenSides, TensorFacts, Values, check_classes, check_picture, close_sides
from linnet_convert.metadata.model_info import PREFIX, read_model_info
from linnet_convert.readers.closing import check_closed, noise, sums_to_one
from linnet_devices.api import Precision

_INTEGER = {"QLinearConv", "QLinearMatMul", "QuantizeLinear"}
_DYNAMIC = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "ConvInteger", "MatMulInteger"}
_MOVES = {"Transpose", "Reshape", "Identity", "Flatten", "Squeeze", "Cast", "QuantizeLinear", "DequantizeLinear"}
_VALUES: dict[str, Values] = {"Softmax": "probabilities", "Sigmoid": "independent_probabilities"}
_ROW = 2
_NEWEST_OPSET = re.compile(r"is till opset (\d+)")  # in ONNX Runtime's words about one that it does not know


def load(path: Path) -> onnx.ModelProto:
    """The model with the files beside it that it names, and without the weights that older exporters list as inputs.

    Raises:
        ConversionError: it is not ONNX.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # the errors of protobuf and of onnx share no base class
        raise ConversionError(str(path), got=f"{type(error).__name__}: {error}", expected="an .onnx") from error
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:]  # shapes that were inferred for open sides
    return model


def close(model: onnx.ModelProto, shape: tuple[int, ...]) -> onnx.ModelProto:
    """The model for one input of a shape: float32 where it was float16, and with an output [1, classes].

    The nodes stay as they are. What is float16 at the ends gets a Cast, an output [1, C, 1, 1] a Flatten.

    Args:
        model: with one input and one output.
        shape: that its input has then; every open side of it is closed.

    Raises:
        Exception: ONNX Runtime's own, where it cannot run the model on that shape.
    """
    closed = onnx.ModelProto()
    closed.CopyFrom(model)
    graph = closed.graph
    (given,), (wanted,) = graph.input, graph.output
    for place, side in enumerate(shape):
        given.type.tensor_type.shape.dim[place].dim_value = side
    output = run(closed, noise(shape, _dtype(given)))
    if _dtype(given) == "float16":
        graph.input[0].CopyFrom(helper.make_tensor_value_info(f"{given.name}_float", TensorProto.FLOAT, shape))
        cast = helper.make_node("Cast", [graph.input[0].name], [model.graph.input[0].name], to=TensorProto.FLOAT16)
        graph.node.insert(0, cast)
    name, dtype = wanted.name, _dtype(wanted)
    if dtype == "float16":
        graph.node.append(helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT))
        name, dtype = f"{name}_float", "float32"
    if output.ndim not in (0, _ROW) and output.size == max(output.shape):
        graph.node.append(helper.make_node("Flatten", [name], [f"{name}_row"], axis=0))
        name, output = f"{name}_row", output.reshape(1, -1)
    element_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph.output[0].CopyFrom(helper.make_tensor_value_info(name, element_type, output.shape))
    return closed


def run(model: onnx.ModelProto, given: NDArray[Any]) -> NDArray[Any]:
    """A model's one output for its one input, by ONNX Runtime. Raises whatever that does."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: given})
    return np.asarray(output)


def read(path: Path, sides: OpenSides) -> Facts:
    """Reads it, closes what it leaves open, and runs it. Raises as ``readers.tflite.read``."""
    model = load(path)
    given, wanted = check_picture(str(path), _tensors(model.graph.input), _tensors(model.graph.output))
    shape, values = close_sides(given.shape, sides), _values(model.graph)
    given = msgspec.structs.replace(given, shape=shape)
    closed = model
    if None not in shape:
        closed = _close(path, model, shape)  # type: ignore[arg-type]  # no side is None
        original_dtype = given.dtype
        given, wanted = check_picture(str(path), _tensors(closed.graph.input), _tensors(closed.graph.output))
        check_classes(str(path), given, wanted)
        picture = noise(shape, given.dtype)  # type: ignore[arg-type]
        outputs = run(closed, picture)
        check_closed(str(path), run(model, picture.astype(original_dtype)), outputs)
        if values == "logits" and sums_to_one(outputs):
            values = "probabilities"
    graph = closed.graph
    scale, zero_point = _steps(graph, given.name, "DequantizeLinear", forward=True)
    output_scale, output_zero_point = _steps(graph, wanted.name, "QuantizeLinear", forward=False)
    info = {entry.key.removeprefix(PREFIX): entry.value for entry in model.metadata_props}
    operators = {node.op_type for node in graph.node}
    return Facts(
        kind="onnx",
        precision=_precision(graph, operators),
        input=msgspec.structs.replace(given, scale=scale, zero_point=zero_point),
        output=msgspec.structs.replace(wanted, scale=output_scale, zero_point=output_zero_point),
        values=values,
        metadata=read_model_info(info),
        requires={"onnx_opset": str(_opset(model))},
        dynamic_range=bool(operators & _DYNAMIC),
    )


def _close(path: Path, model: onnx.ModelProto, shape: tuple[int, ...]) -> onnx.ModelProto:
    """See ``close``. Raises ConversionError for an opset that ONNX Runtime does not know, too."""
    try:
        return close(model, shape)
    except Exception as error:
        newest = _NEWEST_OPSET.search(str(error))
        if newest is None:
            raise
        raise ConversionError(
            str(path),
            got=f"opset {_opset(model)}",
            expected=f"at most {newest[1]}, which is as far as ONNX Runtime goes",
            fix="export the model with an older opset, such as 17",
        ) from error


def _opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def _precision(graph: onnx.GraphProto, operators: set[str]) -> Precision:
    if operators & _INTEGER and not operators & _DYNAMIC:
        return "int8"
    floats = [tensor.data_type for tensor in graph.initializer if len(tensor.dims) > 1]
    return "float16" if TensorProto.FLOAT16 in floats else "float32"


def _dtype(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type.elem_type
    return helper.tensor_dtype_to_np_dtype(kind).name if kind else "another type than a tensor"


def _tensors(values: Any) -> list[TensorFacts]:
    return [
        TensorFacts(
            name=value.name,
            shape=tuple(side.dim_value or None for side in value.type.tensor_type.shape.dim),
            dtype=_dtype(value),
        )
        for value in values
    ]


def _steps(graph: onnx.GraphProto, name: str, operator: str, *, forward: bool) -> tuple[float | None, int | None]:
    """Scale and zero point of a quantized input or output: those of the operator that reads or writes it, however it
    is turned before.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in _neighbours(graph, name, forward=forward):
        if node.op_type == operator and len(node.input) == 3 and {*node.input[1:]} <= set(constants):
            scale, zero_point = (numpy_helper.to_array(constants[constant]) for constant in node.input[1:])
            return float(scale.ravel()[0]), int(zero_point.ravel()[0])
    return None, None


def _values(graph: onnx.GraphProto) -> Values:
    kinds = [_VALUES.get(node.op_type) for node in _neighbours(graph, graph.output[0].name, forward=False)]
    return next((kind for kind in kinds if kind), "logits")


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
