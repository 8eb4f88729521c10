"""A .tflite as plain data: its tensors, with their quantization and constants, and its operators in order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError
from linnet_devices.chatter import no_chatter

_DTYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.FLOAT32: np.dtype(np.float32),
    schema.TensorType.FLOAT16: np.dtype(np.float16),
    schema.TensorType.INT16: np.dtype(np.int16),
    schema.TensorType.INT32: np.dtype(np.int32),
    schema.TensorType.UINT8: np.dtype(np.uint8),
    schema.TensorType.INT8: np.dtype(np.int8),
    schema.TensorType.INT64: np.dtype(np.int64),
    schema.TensorType.BOOL: np.dtype(np.bool_),
}


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_UNSIGNED = 128  # from int8 to uint8
_TO_NHWC = (0, 2, 3, 1)
_OPERATORS = _names(schema.BuiltinOperator)
_ACTIVATIONS = _names(schema.ActivationFunctionType)
_PADDINGS = _names(schema.Padding)


@dataclass(frozen=True)
class Quantization:
    """real = scale * (quantized - zero_point)."""

    scale: NDArray[np.float32]
    """[1] for the whole tensor, or [channels]."""
    zero_point: NDArray[np.int64]
    """As many as ``scale``."""
    axis: int
    """The tensor's axis of channels."""

    @property
    def per_channel(self) -> bool:
        return len(self.scale) > 1


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph."""

    name: str
    """Its name in the file."""
    shape: tuple[int, ...]
    """Its shape, with 1 for a dimension that the file leaves open."""
    dtype: np.dtype[Any]
    """Its data type."""
    quantization: Quantization | None
    """Its scale and zero point; None in float."""
    data: NDArray[Any] | None
    """A constant's values; None for a tensor that is computed."""
    signature: tuple[int, ...]
    """The shape, with -1 for a dimension that the file leaves open."""


@dataclass(frozen=True)
class Operator:
    """An operator of the graph."""

    name: str
    """Its name in TensorFlow Lite's schema, ``CONV_2D``, or a custom operator's own."""
    inputs: tuple[int, ...]
    """The indices of the tensors that it reads; -1 for one that is left out."""
    outputs: tuple[int, ...]
    """The indices of the tensors that it computes."""
    options: dict[str, Any] = field(default_factory=dict)
    """Its options by their names in the schema."""
    version: int = 1
    """The version of its kind."""


@dataclass(frozen=True)
class Graph:
    """The first subgraph of a .tflite."""

    tensors: tuple[Tensor, ...]
    """All tensors, by their indices."""
    operators: tuple[Operator, ...]
    """The operators, in the order in which they run."""
    inputs: tuple[int, ...]
    """The indices of the inputs."""
    outputs: tuple[int, ...]
    """The indices of the outputs."""

    def readers(self, index: int) -> list[Operator]:
        """The operators that read a tensor."""
        return [operator for operator in self.operators if index in operator.inputs]


def read_graph(path: Path) -> Graph:
    """Reads a .tflite. Raises ConversionError where it is not one."""
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise ConversionError(str(path), got=f"a file that starts with {data[:8]!r}", expected="a .tflite")
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    subgraph = model.subgraphs[0]
    return Graph(
        tensors=tuple(_tensor(tensor, model.buffers) for tensor in subgraph.tensors),
        operators=tuple(_operator(operator, model.operatorCodes) for operator in subgraph.operators),
        inputs=tuple(int(i) for i in subgraph.inputs),
        outputs=tuple(int(i) for i in subgraph.outputs),
    )


def keeping_interpreter(model: Path | bytes, shape: tuple[int, ...] | None = None) -> Interpreter:
    """An interpreter that keeps every tensor. It has no delegate: a delegate's tensors cannot be read.

    Args:
        model: a .tflite, or the bytes of one.
        shape: of its first input, where the file leaves sides open.

    Raises:
        RuntimeError, ValueError: the interpreter's own, for a file that it cannot run.
    """
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    with no_chatter():
        interpreter = Interpreter(
            **source,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        if shape is not None:
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
        interpreter.allocate_tensors()
    return interpreter


def plain_ends(graph: Graph) -> Graph:
    """The graph with NHWC for an input that is NCHW and transposed at once, and with uint8 for an int8 input or output,
    whose zero point moves along: the same steps of the same values.
    """
    readers = graph.readers(graph.inputs[0])
    if len(readers) == 1 and readers[0].name == "TRANSPOSE":
        perm = graph.tensors[readers[0].inputs[1]].data
        if perm is not None and tuple(perm) == _TO_NHWC:
            others = tuple(operator for operator in graph.operators if operator is not readers[0])
            graph = replace(graph, operators=others, inputs=readers[0].outputs)
    tensors = list(graph.tensors)
    for index in {*graph.inputs, *graph.outputs}:
        tensor = tensors[index]
        if tensor.dtype == np.int8 and tensor.quantization is not None:
            moved = replace(tensor.quantization, zero_point=tensor.quantization.zero_point + _UNSIGNED)
            tensors[index] = replace(tensor, dtype=np.dtype(np.uint8), quantization=moved)
    return replace(graph, tensors=tuple(tensors))


def _tensor(packed: Any, buffers: list[Any]) -> Tensor:
    name = packed.name.decode()
    if packed.type not in _DTYPES:
        raise ConversionError(f"tensor {name}", got=f"type {packed.type} of the schema", expected="a numeric tensor")
    dtype = _DTYPES[packed.type]
    shape = tuple(int(side) for side in packed.shape) if packed.shape is not None else ()
    raw = buffers[packed.buffer].data
    data = np.frombuffer(bytes(raw), dtype).reshape(shape) if raw is not None and len(raw) else None
    signature = shape if packed.shapeSignature is None else tuple(int(side) for side in packed.shapeSignature)
    return Tensor(name, shape, dtype, _quantization(packed.quantization), data, signature)


def _quantization(packed: Any) -> Quantization | None:
    if packed is None or packed.scale is None or not len(packed.scale):
        return None
    return Quantization(
        np.asarray(packed.scale, np.float32), np.asarray(packed.zeroPoint, np.int64), int(packed.quantizedDimension)
    )


def _operator(packed: Any, codes: list[Any]) -> Operator:
    code = codes[packed.opcodeIndex]
    # Files from before 2020 have the code in the older, narrower field only.
    kind = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = code.customCode.decode() if kind == schema.BuiltinOperator.CUSTOM else _OPERATORS[kind]
    options = dict(vars(packed.builtinOptions)) if packed.builtinOptions is not None else {}
    if "fusedActivationFunction" in options:
        options["fusedActivationFunction"] = _ACTIVATIONS[options["fusedActivationFunction"]]
    if "padding" in options:
        options["padding"] = _PADDINGS[options["padding"]]
    inputs, outputs = (tuple(int(i) for i in indices) for indices in (packed.inputs, packed.outputs))
    return Operator(name, inputs, outputs, options, code.version)
