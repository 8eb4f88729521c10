"""What OpenVINO computes in integers: the runtime model of its CPU plug-in states each operation's precision."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import openvino

from linnet_convert.errors import ConversionError
from linnet_convert.integer.report import Findings, Operation
from linnet_devices.openvino import the_core

_DTYPES = {"u8": "uint8", "i8": "int8", "i32": "int32", "i64": "int64", "f32": "float32", "f16": "float16"}
_NOT_COMPUTED = ("Const", "Input", "Output")
_CONVERSIONS = {"FakeQuantize": "quantize", "Convert": "dequantize"}
_MOVES = ("Reorder", "Convert", "FakeQuantize")
_WEIGHTED = ("Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul")
_STORED = ("i8", "u8", "i4", "u4")
_FLOAT_ONLY = ("Softmax",)  # the CPU plug-in's node takes f32, bf16 and f16, whatever precedes it


def read(path: Path) -> Findings:
    """The findings in an IR. Raises ConversionError where OpenVINO cannot read it."""
    core = the_core()
    try:
        model = core.read_model(path)
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        raise ConversionError(str(path), got=str(error), expected="an IR that OpenVINO reads") from error
    operations, conversions, constant, uneven = [], Counter[str](), set(), _uneven(model)
    for op in compiled.get_runtime_model().get_ordered_ops():
        info = {key: value.astype(str) for key, value in op.get_rt_info().items()}
        before = [source.get_source_output().get_node() for source in op.inputs()]
        kind = info["layerType"]
        if kind == "Const" or (before and all(node.get_friendly_name() in constant for node in before)):
            constant.add(op.get_friendly_name())  # weights that are converted once, when the model is compiled
        elif kind not in _NOT_COMPUTED:
            if kind in _CONVERSIONS:
                conversions[_CONVERSIONS[kind]] += 1
            operations.append(_operation(op, kind, info, before, constant, uneven))
    return Findings(
        engine=f"OpenVINO {openvino.__version__.partition('-')[0]}",
        input=_dtype(model.input(0).element_type.get_type_name()),
        output=_dtype(model.output(0).element_type.get_type_name()),
        shapes=(_shape(model.input(0)), _shape(model.output(0))),
        operations=operations,
        conversions=dict(conversions),
        weights=_weights(model),
    )


def _operation(
    op: Any, kind: str, info: dict[str, str], before: list[Any], constant: set[str], uneven: frozenset[str]
) -> Operation:
    dtype, name = _dtype(info["runtimePrecision"]), info["originalLayersNames"].partition(",")[0]
    if kind in _MOVES or (kind in ("Subgraph", "Eltwise") and _changes_type_at_an_end(op, info, before)):
        return Operation(kind, name, dtype, converts=True)
    # Where the plug-in computes in float, it may state the precision of the weights.
    if dtype == "float16" or (dtype in ("int8", "uint8") and _gives_float_of_float(info, before, constant)):
        dtype = "float32"
    if not dtype.startswith("float") and dtype != "bfloat16":
        return Operation(kind, name, dtype)
    computed = [node for node in before if node.get_friendly_name() not in constant]
    stored = [_info(node, "outputPrecisions") for node in before if node.get_friendly_name() in constant]
    reads = sorted({f"{_info(node, 'outputPrecisions')} from {_maker(node)}" for node in computed})
    why = f"it reads {', '.join(reads)}, and OpenVINO computes it in {info['runtimePrecision']}"
    if kind in _FLOAT_ONLY:
        why = f"OpenVINO has no {kind} in integers"
    elif uneven & set(info["originalLayersNames"].split(",")):
        why = "its weights have a zero point, which OpenVINO's integer kernels do not support"
    return Operation(kind, name, dtype, hybrid=bool(set(stored) & set(_STORED)), float_because=why)


def _changes_type_at_an_end(op: Any, info: dict[str, str], before: list[Any]) -> bool:
    """Whether an operation only quantizes the model's float input, or dequantizes its output.

    Dequantization is one Subgraph, or, on a processor without AVX2, a Convert and an Eltwise.
    """
    behind = [target.get_node() for output in op.outputs() for target in output.get_target_inputs()]
    quantizes = info["outputPrecisions"] in _STORED and all(_info(node, "layerType") == "Input" for node in before)
    reads = {_info(node, "outputPrecisions") for node in before}
    dequantizes = reads <= {*_STORED, "f32"} and all(_info(node, "layerType") == "Output" for node in behind)
    integers = bool(reads & set(_STORED)) or any(_info(node, "layerType") == "Convert" for node in before)
    return quantizes or (dequantizes and integers)


def _gives_float_of_float(info: dict[str, str], before: list[Any], constant: set[str]) -> bool:
    """Whether an operation with integer weights reads and gives floats."""
    reads = {_info(node, "outputPrecisions") for node in before if node.get_friendly_name() not in constant}
    return bool(reads) and reads <= {"f32", "f16", "bf16"} and info["outputPrecisions"] in ("f32", "f16", "bf16")


def _weights(model: Any) -> dict[str, int]:
    """The number of stored integer weights whose scale, a Multiply behind them, is per channel and per tensor."""
    counts: Counter[str] = Counter()
    for op in model.get_ops():
        if op.get_type_name() != "Constant" or op.get_element_type().get_type_name() not in _STORED:
            continue
        if len(op.shape) < 2:
            continue
        for scale in _scales_behind(op):
            counts["per channel" if scale > 1 else "per tensor"] += 1
    return dict(counts)


def _scales_behind(op: Any) -> list[int]:
    found, nodes = [], [op]
    while nodes:
        node = nodes.pop()
        for reader in (target.get_node() for output in node.outputs() for target in output.get_target_inputs()):
            if reader.get_type_name() == "Multiply":
                sizes = [source.get_source_output().get_node() for source in reader.inputs()]
                found += [int(_size(other)) for other in sizes if other.get_friendly_name() != node.get_friendly_name()]
            elif reader.get_type_name() in ("Convert", "Subtract", "Reshape"):
                nodes.append(reader)
    return found


def _size(node: Any) -> int:
    size = 1
    for side in node.output(0).shape:
        size *= side
    return size


def _info(node: Any, key: str) -> str:
    return str(node.get_rt_info()[key].astype(str))


def _maker(node: Any) -> str:
    """The kind of the operation that computes the values of a node."""
    while _info(node, "layerType") == "Reorder":
        node = node.input_value(0).get_node()
    return _info(node, "layerType")


def _uneven(model: Any) -> frozenset[str]:
    """The names of the operations whose stored weights have a zero point that is not zero."""
    found = set()
    for op in model.get_ops():
        if op.get_type_name() not in _WEIGHTED:
            continue
        node = op.input_value(1).get_node()
        while node.get_type_name() in ("Multiply", "Reshape", "Convert"):
            node = node.input_value(0).get_node()
        if node.get_type_name() == "Subtract" and _holds_more_than_zeros(node.input_value(1).get_node()):
            found.add(op.get_friendly_name())
    return frozenset(found)


def _holds_more_than_zeros(node: Any) -> bool:
    while node.get_type_name() in ("Convert", "Reshape"):
        node = node.input_value(0).get_node()
    return node.get_type_name() == "Constant" and bool(node.get_data().any())


def _dtype(name: str) -> str:
    return _DTYPES.get(name, name)


def _shape(port: Any) -> tuple[int, ...]:
    partial = port.partial_shape
    return tuple(side.get_length() if side.is_static else -1 for side in partial)
