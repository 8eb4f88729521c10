"""A .tflite with open dimensions as the same model with all of them closed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from linnet_convert.metadata.tflite import pack, without_metadata
from linnet_convert.readers.tflite_graph import keeping_interpreter


def close(path: Path, shape: tuple[int, ...]) -> bytes | None:
    """The file for an input of that shape, with the shapes that the interpreter computes written into every tensor.

    Weights and operators stay as they are; the metadata, which may name files behind the model, is left out.

    Args:
        path: a .tflite with one input.
        shape: of the input, as the file has it where it says so.

    Returns:
        None where the file leaves nothing open.

    Raises:
        Exception: the interpreter's own, where it cannot run the model on that shape.
    """
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    if not any(tensor.shapeSignature is not None and np.any(tensor.shapeSignature < 0) for tensor in graph.tensors):
        return None
    interpreter = keeping_interpreter(path, shape)
    interpreter.invoke()  # the shapes of some tensors are computed with the values
    computed = {int(detail["index"]): detail["shape"] for detail in interpreter.get_tensor_details()}
    for index, tensor in enumerate(graph.tensors):
        if index in computed:
            tensor.shape = np.asarray(computed[index], np.int32)
        tensor.shapeSignature = None
    return pack(without_metadata(model))
