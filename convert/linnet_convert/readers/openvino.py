"""OpenVINO's IR: an .xml with its .bin beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import openvino

from linnet_convert.facts import (
    Facts,
    Layout,
    OpenSides,
    TensorFacts,
    Values,
    check_classes,
    check_picture,
    close_sides,
)
from linnet_convert.metadata.model_info import KEYS, read_model_info
from linnet_convert.readers.closing import noise, sums_to_one
from linnet_devices.api import Precision
from linnet_devices.openvino import the_core

_STEPS = 255
_MOVES = {"Transpose", "Reshape", "Squeeze", "Convert", "FakeQuantize", "Result"}
_VALUES: dict[str, Values] = {
    "Softmax": "probabilities",
    "SoftMax": "probabilities",
    "Sigmoid": "independent_probabilities",
}


def load(path: Path, shape: tuple[int, ...] | None = None) -> Any:
    """The model, for one input of a shape where it leaves sides open. Raises RuntimeError where OpenVINO does not take
    it.
    """
    model = the_core().read_model(path)
    if shape is not None and model.is_dynamic():
        model.reshape(list(shape))
    return model


def read(path: Path, sides: OpenSides) -> Facts:
    """Reads it, closes what it leaves open, and runs it once. Raises as ``readers.tflite.read``."""
    model = load(path)
    given, wanted = check_picture(
        str(path), *([_tensor(port) for port in ports] for ports in (model.inputs, model.outputs))
    )
    info = {key: str(model.get_rt_info(["model_info", key]).astype(str)) for key in KEYS if _has(model, key)}
    metadata, layout = read_model_info(info), _layout(model)
    metadata = msgspec.structs.replace(metadata, layout=layout)
    said = OpenSides(size=sides.size, layout=sides.layout or layout)
    given, values = msgspec.structs.replace(given, shape=close_sides(given.shape, said)), _values(model)
    if None not in given.shape:
        model = load(path, given.shape)  # type: ignore[arg-type]  # no side is None
        compiled = the_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        outputs = compiled([noise(model.inputs[0].shape, given.dtype)])[compiled.outputs[0]]
        wanted = msgspec.structs.replace(_tensor(model.outputs[0]), shape=outputs.shape)
        check_classes(str(path), given, wanted)
        if values == "logits" and sums_to_one(outputs):
            values = "probabilities"
    return Facts(
        kind="openvino",
        precision=_precision(model),
        input=given,
        output=_with_steps(wanted, model),
        values=values,
        metadata=metadata,
    )


def _layout(model: Any) -> Layout | None:
    layout = model.get_parameters()[0].get_layout().to_string().strip("[]").replace(",", "")
    return layout if layout in ("NHWC", "NCHW") else None


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
    """A quantized output with its scale and zero point, from the ends of a FakeQuantize's range."""
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


def _values(model: Any) -> Values:
    operation = model.outputs[0].node
    while operation.get_type_name() in _MOVES:
        operation = operation.input_value(0).get_node()
    return _VALUES.get(operation.get_type_name(), "logits")
