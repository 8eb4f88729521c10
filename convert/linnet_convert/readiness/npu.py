"""Intel's NPU through OpenVINO: static shapes, and int8 in the form that its compiler runs in integers.

https://docs.openvino.ai, "NPU Device": static shapes; float16, and quantized models in u8 and i8. In an IR a quantized
convolution reads a FakeQuantize of up to 256 levels and 8-bit weights that are multiplied by their scale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino

from linnet_convert.readiness.api import Requirement, requirement

_COMPUTE = {"Convolution", "GroupConvolution", "MatMul"}
_MOVES = {"Convert", "Multiply", "Subtract", "Reshape", "Transpose", "MaxPool", "Concat"}
_MOST_LEVELS = 256
_EIGHT_BITS = {"i8", "u8"}


def check_npu(path: Path) -> list[Requirement]:
    """The requirements for an int8 IR."""
    model = openvino.Core().read_model(path)
    operations = model.get_ordered_ops()
    compute = [operation for operation in operations if operation.get_type_name() in _COMPUTE]
    activations = [_label(operation) for operation in compute if not _is_quantized(operation.input_value(0).get_node())]
    weights = [
        _label(operation) for operation in compute if not _has_small_weights(operation.input_value(1).get_node())
    ]
    shapes = [
        f"{operation.get_friendly_name()} {operation.get_output_partial_shape(i)}"
        for operation in operations
        for i in range(operation.get_output_size())
        if operation.get_output_partial_shape(i).is_dynamic
    ]
    batches = [
        f"{port.get_any_name()} {port.get_partial_shape()}"
        for port in (*model.inputs, *model.outputs)
        if not port.get_partial_shape().is_static or port.get_shape()[0] != 1
    ]
    return [
        requirement("static shapes", shapes, f"{len(operations)} operations"),
        requirement("batch 1", batches, "input and output"),
        requirement("quantized activations", activations, f"{len(compute)} convolutions and products"),
        requirement("8-bit weights", weights, f"{len(compute)} convolutions and products"),
    ]


def _label(operation: Any) -> str:
    return f"{operation.get_type_name()} {operation.get_friendly_name()}"


def _is_quantized(operation: Any) -> bool:
    """Whether the values come from a FakeQuantize, perhaps moved or scaled behind it."""
    if operation.get_type_name() == "FakeQuantize":
        return operation.get_attributes()["levels"] <= _MOST_LEVELS
    moved = operation.get_type_name() in _MOVES and operation.get_input_size() > 0
    return moved and _is_quantized(operation.input_value(0).get_node())


def _has_small_weights(operation: Any) -> bool:
    if operation.get_type_name() == "Constant":
        return operation.get_output_element_type(0).get_type_name() in _EIGHT_BITS
    moved = operation.get_type_name() in {*_MOVES, "FakeQuantize"} and operation.get_input_size() > 0
    return moved and _has_small_weights(operation.input_value(0).get_node())
