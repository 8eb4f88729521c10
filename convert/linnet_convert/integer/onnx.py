"""What ONNX Runtime computes in integers: the graph that it writes after its optimizations is the one that it runs."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnx import TensorProto, helper

from linnet_convert.errors import ConversionError
from linnet_convert.integer.report import INTEGERS, Findings, Operation

_CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3  # it warns that the optimized file fits this machine only
_QUANTIZE = {"QuantizeLinear": "quantize", "DequantizeLinear": "dequantize"}
_CASTS = (*_QUANTIZE, "Cast", "DynamicQuantizeLinear")
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedGemm", "FusedMatMul", "NhwcFusedConv")
# The data type of their output, whatever they read.
_GIVES = {
    "DynamicQuantizeMatMul": "float32",
    "MatMulIntegerToFloat": "float32",
    "DequantizeLinear": "float32",
    "DynamicQuantizeLinear": "uint8",
    "ConvInteger": "int32",
    "MatMulInteger": "int32",
    "Shape": "int64",
}
_DYNAMIC = ("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "ConvInteger", "MatMulInteger")


def read(path: Path) -> Findings:
    """The findings in an .onnx. Raises ConversionError where ONNX Runtime cannot read it."""
    graph = _optimized(path).graph
    types = {value.name: _name(value.type.tensor_type.elem_type) for value in (*graph.input, *graph.output)}
    types |= {value.name: _name(value.type.tensor_type.elem_type) for value in graph.value_info}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    maker: dict[str, Any] = {}
    operations, conversions = [], Counter[str]()
    weights, foreign = Counter[str](), set()
    for node in graph.node:
        constant = all(name in stored or (name in maker and maker[name] is None) for name in node.input if name)
        dtype = types.get(node.output[0]) or _output_type(node, types, stored)
        for name in node.output:
            types[name] = dtype
            maker[name] = None if constant else node
        if constant:  # weights that are converted once, when the model is loaded
            if node.op_type == "DequantizeLinear" and len(stored[node.input[0]].dims) > 1:
                weights["per channel" if _elements(stored[node.input[1]]) > 1 else "per tensor"] += 1
            continue
        if node.op_type in _QUANTIZE:
            conversions[_QUANTIZE[node.op_type]] += 1
        if node.op_type.startswith("QLinear") or node.op_type in ("QGemm", *_DYNAMIC):
            scales = _weight_scales(node, stored)
            if scales is not None:
                weights["per channel" if scales > 1 else "per tensor"] += 1
        if node.domain not in ("", "ai.onnx") and not node.domain.startswith("com.microsoft"):
            foreign.add(f"{node.domain}:{node.op_type}")
        operations.append(_operation(node, dtype, types, stored, maker))
    pixels, logits = graph.input[0], graph.output[0]
    return Findings(
        engine=f"ONNX Runtime {onnxruntime.__version__}",
        input=types[pixels.name],
        output=types[logits.name],
        shapes=(_shape(pixels), _shape(logits)),
        operations=operations,
        conversions=dict(conversions),
        weights=dict(weights),
        foreign=tuple(sorted(foreign)),
    )


def _optimized(path: Path) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(written)
        options.log_severity_level = _ERRORS_ONLY
        try:
            onnxruntime.InferenceSession(str(path), options, providers=[_CPU])
        except Exception as error:  # onnxruntime's errors share no base class below Exception
            raise ConversionError(str(path), got=str(error), expected="an .onnx that ONNX Runtime reads") from error
        return onnx.load(written)


def _output_type(node: Any, types: dict[str, str], stored: dict[str, Any]) -> str:
    """The data type of a node's output: ONNX's own type inference does not know the operations of ONNX Runtime."""
    kind = node.op_type
    if kind in _GIVES:
        return _GIVES[kind]
    if kind == "Cast":
        return _name(next(attribute.i for attribute in node.attribute if attribute.name == "to"))
    if kind == "QuantizeLinear":
        return _type_of(node.input[2], types, stored) if len(node.input) > 2 else "uint8"
    if kind == "QGemm" and (len(node.input) < 9 or not node.input[8]):
        return "float32"  # without a scale of its output
    return _type_of(node.input[0] or node.input[1], types, stored)


def _operation(
    node: Any, dtype: str, types: dict[str, str], stored: dict[str, Any], maker: dict[str, Any]
) -> Operation:
    kind, name = node.op_type, node.name or node.output[0]
    if kind in _CASTS:
        return Operation(kind, name, dtype, converts=True)
    if kind in _DYNAMIC:
        why = "dynamic range: its input is quantized anew for each picture"
        return Operation(kind, name, "float32", hybrid=True, float_because=why)
    if dtype in INTEGERS:
        return Operation(kind, name, dtype)
    hybrid = kind in _WEIGHTED and any(
        name in maker and maker[name] is None and name not in stored for name in node.input[1:2]
    )
    readable = [name for name in node.input if name and name not in stored and types.get(name) not in INTEGERS]
    behind = [maker[name] for name in readable if maker.get(name) is not None]
    if any(before.op_type == "DequantizeLinear" for before in behind):
        why = "its integer input is dequantized: it has no integer kernel, or its output no range"
        return Operation(kind, name, dtype, float_because=why)
    why = f"it reads what {behind[0].op_type} computes in float" if behind else "it reads the model's float input"
    return Operation(kind, name, dtype, hybrid=hybrid, float_because=why)


def _weight_scales(node: Any, stored: dict[str, Any]) -> int | None:
    """How many scales a node's weights have; None where it has no weights."""
    place = {"QLinearConv": 4, "QLinearMatMul": 4, "QGemm": 4}.get(node.op_type)
    if place is None or node.input[place] not in stored:
        return None
    return _elements(stored[node.input[place]])


def _type_of(name: str, types: dict[str, str], stored: dict[str, Any]) -> str:
    return types.get(name) or (_name(stored[name].data_type) if name in stored else "unknown")


def _name(element_type: int) -> str:
    if element_type == TensorProto.UNDEFINED:
        return ""
    return helper.tensor_dtype_to_np_dtype(element_type).name


def _elements(tensor: Any) -> int:
    count = 1
    for side in tensor.dims:
        count *= side
    return count


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
