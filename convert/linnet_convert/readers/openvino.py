"""OpenVINO's IR: an .xml with its .bin beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import openvino

from linnet_convert.facts import Facts, TensorFacts, check_task
from linnet_convert.metadata.model_info import KEYS, read_model_info
from linnet_devices.api import Precision
from linnet_devices.openvino import the_core

_STEPS = 255
_MOVES = {"Transpose", "Reshape", "Squeeze", "Convert", "FakeQuantize", "Result"}


def read(path: Path) -> Facts:
    """Reads it, and runs it once. Raises as ``read_tflite.read``."""
    core = the_core()
    model = core.read_model(path)
    given, wanted = check_task(
        str(path), *([_tensor(port) for port in ports] for ports in (model.inputs, model.outputs))
    )
    layout = model.get_parameters()[0].get_layout().to_string().strip("[]").replace(",", "")
    if None not in given.shape[1:]:
        model.reshape([1, *(side or 1 for side in given.shape[1:])])
        core.compile_model(model, "CPU")([np.zeros(model.inputs[0].shape, given.dtype)])
        wanted = _tensor(model.outputs[0])
    info = {key: str(model.get_rt_info(["model_info", key]).astype(str)) for key in KEYS if _has(model, key)}
    metadata = read_model_info(info)
    return Facts(
        kind="openvino",
        precision=_precision(model),
        input=given,
        output=_with_steps(wanted, model),
        softmax=_ends_in_softmax(model),
        metadata=msgspec.structs.replace(metadata, layout=layout if layout in ("NHWC", "NCHW") else None),
    )


def _has(model: Any, key: str) -> bool:
    return bool(model.has_rt_info(["model_info", key]))


def _tensor(port: Any) -> TensorFacts:
    return TensorFacts(
        name=port.any_name if port.names else port.node.friendly_name,
        shape=tuple(side.get_length() if side.is_static else None for side in port.partial_shape),
        dtype=port.element_type.to_dtype().name,
    )


def _precision(model: Any) -> Precision:
    operations = model.get_ops()
    if any(operation.get_type_name() == "FakeQuantize" for operation in operations):
        return "int8"
    stored = {op.output(0).get_element_type() for op in operations if op.get_type_name() == "Constant"}
    return "float16" if openvino.Type.f16 in stored else "float32"


def _with_steps(wanted: TensorFacts, model: Any) -> TensorFacts:
    """A quantised output with its scale and zero point, which are the ends of a FakeQuantize's range."""
    operation = model.outputs[0].node
    while operation.get_type_name() in _MOVES - {"FakeQuantize"}:
        operation = operation.input_value(0).get_node()
    if wanted.dtype == "float32" or operation.get_type_name() != "FakeQuantize":
        return wanted
    ends = [operation.input_value(place).get_node() for place in (1, 2)]
    if any(end.get_type_name() != "Constant" for end in ends):
        return wanted
    low, high = (float(np.ravel(end.data)[0]) for end in ends)
    scale = (high - low) / _STEPS
    lowest = -128 if wanted.dtype == "int8" else 0
    return msgspec.structs.replace(wanted, scale=scale, zero_point=round(lowest - low / scale))


def _ends_in_softmax(model: Any) -> bool:
    operation = model.outputs[0].node
    while operation.get_type_name() in _MOVES:
        operation = operation.input_value(0).get_node()
    return operation.get_type_name() in {"Softmax", "SoftMax", "Sigmoid"}
