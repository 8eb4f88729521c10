"""An ONNX graph that is being built: nodes and constants, each value by its name."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET = 17
_IR_VERSION = 8  # of opset 17: older ONNX Runtimes on devices refuse newer ones


class OnnxGraph:
    """Collects nodes and constants. The methods that add one return the name of its value."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        """A constant of the value's own dtype and shape."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def node(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """A node with one output."""
        number = len(self._nodes)
        output = output or f"value_{number}"
        self._nodes.append(helper.make_node(operator, inputs, [output], name=f"{operator}_{number}", **attributes))
        return output

    def model(
        self,
        pixels: tuple[str, np.dtype[Any], tuple[int, ...]],
        logits: tuple[str, np.dtype[Any], tuple[int, ...]],
    ) -> onnx.ModelProto:
        """The finished model with one input and one output, checked. Raises onnx.checker.ValidationError."""
        read = {name for node in self._nodes for name in node.input} | {logits[0]}
        graph = helper.make_graph(
            [node for node in self._nodes if node.output[0] in read],  # the float form of the logits is not read
            "linnet",
            [_value_info(*pixels)],
            [_value_info(*logits)],
            self._constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION, producer_name="linnet"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _value_info(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape)
