"""A .tflite: float, int8 or uint8, or compiled for an Edge TPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from linnet_convert.facts import Facts, TensorFacts, check_task
from linnet_convert.metadata.tflite import read_tflite
from linnet_convert.readers.tflite_graph import Graph, Tensor, read_graph
from linnet_devices.api import Precision
from linnet_devices.presets import EDGETPU_OP

_MATMULS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}


def read(path: Path) -> Facts:
    """Reads it, and runs it once.

    Raises:
        ConversionError: it is not a .tflite, or no classifier.
        Exception: whatever its readers raise for a damaged one.
    """
    graph = read_graph(path)
    given, wanted = check_task(str(path), *(_facts(graph, ends) for ends in (graph.inputs, graph.outputs)))
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    compiled = any(code.customCode == EDGETPU_OP.encode() for code in model.operatorCodes)
    if not compiled:
        _run(path)
    return Facts(
        kind="tflite",
        precision="int8" if compiled else _precision(graph),
        input=given,
        output=wanted,
        softmax=_compiled_softmax(graph) if compiled else _ends_in_softmax(graph),
        metadata=read_tflite(path, model),
        requires={"delegate": "edgetpu"} if compiled else {},
    )


def _facts(graph: Graph, indices: tuple[int, ...]) -> list[TensorFacts]:
    return [_tensor(graph.tensors[index]) for index in indices]


def _tensor(tensor: Tensor) -> TensorFacts:
    quantization = tensor.quantization
    return TensorFacts(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype.name,
        scale=float(quantization.scale[0]) if quantization else None,
        zero_point=int(quantization.zero_point[0]) if quantization else None,
    )


def _precision(graph: Graph) -> Precision:
    """Of its activations: a model with integer weights alone computes in float."""
    computed = [graph.tensors[operator.inputs[0]].dtype for operator in graph.operators if operator.name in _MATMULS]
    return "int8" if computed and all(dtype in (np.int8, np.uint8) for dtype in computed) else "float32"


def _ends_in_softmax(graph: Graph) -> bool:
    index = graph.outputs[0]
    for operator in reversed(graph.operators):
        if index in operator.outputs:
            if operator.name in {"SOFTMAX", "LOGISTIC"}:
                return True
            if operator.name not in {"RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE"}:
                return False
            index = operator.inputs[0]
    return False


def _compiled_softmax(graph: Graph) -> bool:
    """Of a compiled model, whose operators cannot be seen: a softmax alone has steps of 1/256 from 0."""
    quantization = graph.tensors[graph.outputs[0]].quantization
    lowest = 0 if graph.tensors[graph.outputs[0]].dtype == np.uint8 else -128
    return quantization is not None and bool(
        quantization.scale[0] == np.float32(1 / 256) and quantization.zero_point[0] == lowest
    )


def _run(path: Path) -> None:
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
    interpreter.invoke()
