"""What TensorFlow Lite's interpreter computes in integers, and in how many pieces XNNPACK runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from linnet_convert.errors import ConversionError
from linnet_convert.integer.report import INTEGERS, Findings, Operation, Pieces
from linnet_devices.chatter import no_chatter
from linnet_devices.litert import DELEGATE, delegated_operations
from linnet_devices.presets import EDGETPU_OP

_CONVERSIONS = {"QUANTIZE": "quantize", "DEQUANTIZE": "dequantize"}
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D", "BATCH_MATMUL")
_FLEX = "Flex"  # the prefix of TensorFlow's own operators, which a "Select TF ops" build adds


def read(path: Path) -> Findings:
    """The findings in a .tflite. Raises ConversionError where TensorFlow Lite cannot read it."""
    try:
        with no_chatter():
            plain = Interpreter(
                str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            )
    except (RuntimeError, ValueError) as error:
        raise ConversionError(str(path), got=str(error), expected="a .tflite that TensorFlow Lite reads") from error
    tensors = {int(tensor["index"]): tensor for tensor in plain.get_tensor_details()}
    operations = plain._get_ops_details()
    (pixels,), (logits,) = plain.get_input_details()[:1], plain.get_output_details()[:1]
    reader = _Reader(tensors, operations, {int(detail["index"]) for detail in plain.get_input_details()})
    names = [operation["op_name"] for operation in operations]
    return Findings(
        engine="TensorFlow Lite",
        input=_dtype(pixels),
        output=_dtype(logits),
        shapes=(_shape(pixels), _shape(logits)),
        operations=[reader.operation(operation) for operation in operations],
        conversions={word: names.count(name) for name, word in _CONVERSIONS.items() if name in names},
        weights=reader.weights(),
        foreign=tuple(sorted({name for name in names if name != name.upper()})),
        pieces=_pieces(path),
    )


class _Reader:
    """The graph of an interpreter. A tensor that is neither computed nor an input is a constant."""

    def __init__(self, tensors: dict[int, Any], operations: list[dict[str, Any]], given: set[int]) -> None:
        self._tensors = tensors
        self._maker = {int(output): operation for operation in operations for output in operation["outputs"]}
        self._operations = operations
        self._given = given

    def operation(self, operation: dict[str, Any]) -> Operation:
        kind, output = operation["op_name"], self._tensors[int(operation["outputs"][0])]
        dtype, converts = _dtype(output), kind in _CONVERSIONS
        hybrid = dtype not in INTEGERS and self._has_integer_weights(operation)
        why = "" if dtype in INTEGERS or converts else self._why(operation, hybrid=hybrid)
        return Operation(kind, output["name"].partition(";")[0], dtype, converts, hybrid, why)

    def weights(self) -> dict[str, int]:
        """The number of quantized weights with a scale for each channel, and with one for the tensor."""
        counts: dict[str, int] = {}
        for operation in self._operations:
            if operation["op_name"] not in _WEIGHTED:
                continue
            weights = self._stored_weights(operation)
            scales = weights["quantization_parameters"]["scales"] if weights else ()
            if len(scales):
                word = "per channel" if len(scales) > 1 else "per tensor"
                counts[word] = counts.get(word, 0) + 1
        return counts

    def _has_integer_weights(self, operation: dict[str, Any]) -> bool:
        if operation["op_name"] not in _WEIGHTED:
            return False
        weights = self._stored_weights(operation)
        return weights is not None and _dtype(weights) in ("int4", "int8", "uint8")

    def _stored_weights(self, operation: dict[str, Any]) -> Any | None:
        """The weights as the file stores them, before a DEQUANTIZE; None where they are computed."""
        index = int(operation["inputs"][1])
        maker = self._maker.get(index)
        if maker is not None and maker["op_name"] == "DEQUANTIZE":
            index = int(maker["inputs"][0])
        return None if index in self._maker or index in self._given else self._tensors[index]

    def _why(self, operation: dict[str, Any], *, hybrid: bool) -> str:
        if operation["op_name"].startswith(_FLEX):
            return "a Select-TF operator, which TensorFlow's own float kernel computes"
        if operation["op_name"] == EDGETPU_OP:
            return "the Edge TPU computes it"
        if hybrid:
            return "dynamic range: its weights are stored in 8 bits and its input is float"
        for index in map(int, operation["inputs"]):
            maker = self._maker.get(index)
            if index in self._given:
                return "it reads the model's float input, which is not quantized"
            if maker is not None and _dtype(self._tensors[index]) not in INTEGERS:
                if maker["op_name"] == "DEQUANTIZE":
                    return "its integer input is dequantized: it has no integer kernel, or its output no range"
                return f"it reads what {maker['op_name']} computes in float"
        return "its output has no range"


def _pieces(path: Path) -> Pieces | None:
    """The pieces that XNNPACK runs; None where the interpreter lacks an operation, so that the model cannot run."""
    try:
        with no_chatter():
            fast = Interpreter(str(path))
            fast.allocate_tensors()
    except (RuntimeError, ValueError):
        return None
    operations = fast._get_ops_details()
    taken = delegated_operations(operations)
    left_out: dict[str, int] = {}
    for operation in operations:
        if operation["op_name"] != DELEGATE and operation["index"] not in taken:
            left_out[operation["op_name"]] = left_out.get(operation["op_name"], 0) + 1
    return Pieces("XNNPACK", sum(operation["op_name"] == DELEGATE for operation in operations), left_out)


def _dtype(tensor: Any) -> str:
    return np.dtype(tensor["dtype"]).name


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in tensor["shape"])
