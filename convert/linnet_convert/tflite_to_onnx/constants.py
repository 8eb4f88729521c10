"""What a .tflite computes of its constants alone, computed once: half-precision weights, and shapes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from linnet_convert.readers.tflite_graph import Graph, Operator, keeping_interpreter, read_graph


def read_folded(path: Path) -> Graph:
    """The graph of a .tflite with closed dimensions, with such tensors as constants and without their operators.

    Raises:
        ConversionError: it is not a .tflite.
        RuntimeError, ValueError: the interpreter's own.
    """
    graph = read_graph(path)
    known = {index for index, tensor in enumerate(graph.tensors) if tensor.data is not None} | {-1}
    folded: list[Operator] = []
    for operator in graph.operators:
        if operator.name == "SHAPE" or known.issuperset(operator.inputs):
            folded.append(operator)
            known.update(operator.outputs)
    if not folded:
        return graph
    interpreter = keeping_interpreter(path)
    given = interpreter.get_input_details()[0]
    interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
    interpreter.invoke()
    tensors = list(graph.tensors)
    for index in (index for operator in folded for index in operator.outputs):
        data = np.array(interpreter.get_tensor(index))
        tensors[index] = replace(tensors[index], data=data, shape=data.shape)
    operators = tuple(operator for operator in graph.operators if operator not in folded)
    return replace(graph, tensors=tuple(tensors), operators=operators)
