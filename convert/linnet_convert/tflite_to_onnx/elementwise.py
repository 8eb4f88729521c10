"""Operators that compute each value on its own, or from those at the same place in other tensors."""

from __future__ import annotations

from collections.abc import Callable

from linnet_convert.errors import ConversionError
from linnet_convert.readers.tflite_graph import Operator
from linnet_convert.tflite_to_onnx.translation import LIMITS, Translation


def elementwise(kind: str) -> Callable[[Translation, Operator], None]:
    """Arithmetic on tensors and constants that broadcast, with its fused activation."""

    def translate(t: Translation, operator: Operator) -> None:
        real = t.onnx.node(kind, *(t.real(index) for index in operator.inputs))
        t.store(operator.outputs[0], t.activated(operator, real))

    return translate


def function(kind: str) -> Callable[[Translation, Operator], None]:
    """A function of one tensor."""

    def translate(t: Translation, operator: Operator) -> None:
        t.store(operator.outputs[0], t.onnx.node(kind, t.real(operator.inputs[0])))

    return translate


def clamp(t: Translation, operator: Operator) -> None:
    """RELU, RELU6 and RELU_N1_TO_1 as separate operators."""
    t.store(operator.outputs[0], t.clipped(operator, t.real(operator.inputs[0]), LIMITS[operator.name]))


def softmax(t: Translation, operator: Operator) -> None:
    """A softmax over the channels."""
    if operator.options["beta"] != 1:
        raise ConversionError("operator SOFTMAX", got=f"beta {operator.options['beta']}", expected="1")
    t.store(operator.outputs[0], t.onnx.node("Softmax", t.real(operator.inputs[0]), axis=1))
