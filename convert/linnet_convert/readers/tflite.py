"""A .tflite: float, int8, uint8 or int16, or compiled for an Edge TPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from linnet_convert.facts import Facts, OpenSides, TensorFacts, Values, check_classes, check_picture, close_sides
from linnet_convert.metadata.tflite import read_tflite
from linnet_convert.readers.closing import check_closed, noise, sums_to_one
from linnet_convert.readers.tflite_closing import close
from linnet_convert.readers.tflite_graph import Graph, Operator, keeping_interpreter, read_graph
from linnet_devices.api import Precision
from linnet_devices.presets import EDGETPU_OP

_MATMULS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
_VALUES: dict[str, Values] = {"SOFTMAX": "probabilities", "LOGISTIC": "independent_probabilities"}
_MOVES = {"RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE"}
_INTEGERS = (np.int8, np.uint8, np.int16)


def read(path: Path, sides: OpenSides) -> Facts:
    """Reads it, closes what it leaves open, and runs it.

    Raises:
        ConversionError: it is not a .tflite, or no classifier.
        Exception: whatever its readers raise for a damaged one.
    """
    graph = read_graph(path)
    given, wanted = check_picture(str(path), *(_facts(graph, ends) for ends in (graph.inputs, graph.outputs)))
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    compiled = any(code.customCode == EDGETPU_OP.encode() for code in model.operatorCodes)
    values = _compiled_values(graph) if compiled else _values(graph)
    given = msgspec.structs.replace(given, shape=close_sides(given.shape, sides))
    if compiled:
        check_classes(str(path), given, wanted)
    elif None not in given.shape:
        outputs = _closed_outputs(path, given)
        wanted = msgspec.structs.replace(wanted, shape=outputs.shape)
        check_classes(str(path), given, wanted)
        if values == "logits" and sums_to_one(_real(outputs, wanted)):
            values = "probabilities"
    return Facts(
        kind="tflite",
        precision="int8" if compiled else _precision(graph),
        input=given,
        output=wanted,
        values=values,
        metadata=read_tflite(path, model, wanted.shape[-1]),
        requires={"delegate": "edgetpu"} if compiled else {},
        dynamic_range=any(_is_hybrid(graph, operator) for operator in _matmuls(graph)),
        int16=any(graph.tensors[operator.inputs[0]].dtype == np.int16 for operator in _matmuls(graph)),
    )


def _closed_outputs(path: Path, given: TensorFacts) -> NDArray[Any]:
    """The file's outputs for a picture of noise, which are those of the file with its dimensions closed."""
    shape: tuple[int, ...] = given.shape  # type: ignore[assignment]  # no side is None
    closed, picture = close(path, shape), noise(shape, given.dtype)
    outputs = _outputs(path, picture)
    if closed is not None:
        check_closed(str(path), outputs, _outputs(closed, picture))
    return outputs


def _outputs(model: Path | bytes, picture: NDArray[Any]) -> NDArray[Any]:
    interpreter = keeping_interpreter(model, picture.shape)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def _facts(graph: Graph, indices: tuple[int, ...]) -> list[TensorFacts]:
    return [_tensor(graph, index) for index in indices]


def _tensor(graph: Graph, index: int) -> TensorFacts:
    tensor = graph.tensors[index]
    maker = next((operator for operator in graph.operators if index in operator.outputs), None)
    quantization = tensor.quantization
    if maker is not None and maker.name == "DEQUANTIZE":  # a float output in the steps of an integer one
        quantization = graph.tensors[maker.inputs[0]].quantization
    return TensorFacts(
        name=tensor.name,
        shape=tuple(None if side < 0 else side for side in tensor.signature),
        dtype=tensor.dtype.name,
        scale=float(quantization.scale[0]) if quantization else None,
        zero_point=int(quantization.zero_point[0]) if quantization else None,
    )


def _matmuls(graph: Graph) -> list[Operator]:
    return [operator for operator in graph.operators if operator.name in _MATMULS]


def _precision(graph: Graph) -> Precision:
    """The precision of the activations: a model of which only the weights are integers computes in float."""
    computed = [graph.tensors[operator.inputs[0]].dtype for operator in _matmuls(graph)]
    if computed and all(dtype in _INTEGERS for dtype in computed):
        return "int8"
    return "float16" if any(tensor.dtype == np.float16 for tensor in graph.tensors) else "float32"


def _is_hybrid(graph: Graph, operator: Operator) -> bool:
    """Whether an operator multiplies floats by weights in integers."""
    given, weights = (graph.tensors[index].dtype for index in operator.inputs[:2])
    return given == np.float32 and weights == np.int8


def _values(graph: Graph) -> Values:
    index = graph.outputs[0]
    for operator in reversed(graph.operators):
        if index in operator.outputs:
            if operator.name in _VALUES:
                return _VALUES[operator.name]
            if operator.name not in _MOVES:
                break
            index = operator.inputs[0]
    return "logits"


def _compiled_values(graph: Graph) -> Values:
    """The values of a compiled model, whose operators cannot be read: only a softmax has steps of 1/256 from 0."""
    tensor = graph.tensors[graph.outputs[0]]
    quantization, lowest = tensor.quantization, 0 if tensor.dtype == np.uint8 else -128
    if quantization and quantization.scale[0] == np.float32(1 / 256) and quantization.zero_point[0] == lowest:
        return "probabilities"
    return "logits"


def _real(outputs: NDArray[Any], wanted: TensorFacts) -> NDArray[Any]:
    if wanted.scale is None or wanted.zero_point is None or outputs.dtype == np.float32:
        return outputs
    return (outputs.astype(np.float32) - wanted.zero_point) * wanted.scale
