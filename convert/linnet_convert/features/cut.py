"""Cuts a .tflite after one of its tensors, so that all integers up to there are the same by construction."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from linnet_convert.metadata.tflite import pack, without_metadata

_NO_BUFFER = 0  # the empty buffer of every model
_LEFT_OUT = -1  # in place of an operator's optional input


def cut_behind(data: bytes, index: int) -> bytes:
    """A .tflite whose only output is one of the tensors of the given .tflite.

    The operators that the tensor does not depend on are left out, with their constants. TFLite metadata describes the
    old output and is left out too.

    Args:
        data: the .tflite, with one subgraph.
        index: the index of the tensor in the first subgraph.
    """
    model = without_metadata(schema.ModelT.InitFromPackedBuf(data, 0))
    graph = model.subgraphs[0]
    needed, kept = {index, *map(int, graph.inputs)}, []
    for operator in reversed(graph.operators):
        if needed.intersection(map(int, operator.outputs)):
            needed.update(map(int, operator.inputs), map(int, operator.outputs))
            kept.append(operator)
    graph.operators = kept[::-1]
    graph.outputs = [index]
    for signature in model.signatureDefs or []:
        signature.outputs[0].tensorIndex = index
    _drop_tensors(model, graph, sorted(needed - {_LEFT_OUT}))
    _drop_operator_codes(model, graph)
    return pack(model)


def _drop_tensors(model: Any, graph: Any, kept: list[int]) -> None:
    """Removes all other tensors and their constants."""
    place = {old: new for new, old in enumerate(kept)} | {_LEFT_OUT: _LEFT_OUT}
    graph.tensors = [graph.tensors[old] for old in kept]
    for operator in graph.operators:
        operator.inputs = [place[int(i)] for i in operator.inputs]
        operator.outputs = [place[int(i)] for i in operator.outputs]
    graph.inputs, graph.outputs = ([place[int(i)] for i in ends] for ends in (graph.inputs, graph.outputs))
    for signature in model.signatureDefs or []:
        for end in (*signature.inputs, *signature.outputs):
            end.tensorIndex = place[int(end.tensorIndex)]
    used = sorted({_NO_BUFFER, *(t.buffer for t in graph.tensors), *(entry.buffer for entry in model.metadata or [])})
    buffer = {old: new for new, old in enumerate(used)}
    model.buffers = [model.buffers[old] for old in used]
    for owner in (*graph.tensors, *(model.metadata or [])):
        owner.buffer = buffer[owner.buffer]


def _drop_operator_codes(model: Any, graph: Any) -> None:
    """Removes the operator codes that no operator of the graph has."""
    used = sorted({operator.opcodeIndex for operator in graph.operators})
    place = {old: new for new, old in enumerate(used)}
    model.operatorCodes = [model.operatorCodes[old] for old in used]
    for operator in graph.operators:
        operator.opcodeIndex = place[operator.opcodeIndex]
