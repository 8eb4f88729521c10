"""Small models as other programs make them: a PyTorch-like .onnx, its IR, its integers, and Keras's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 32
CLASSES = 3
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # torchvision's, in pixels
SAYS = ("--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375", "--color", "rgb")


class Network:
    """An ONNX graph in the making, NCHW, with random weights of a spread that keeps the activations alive."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.channels = 3

    def constant(self, value: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"/{operator}_{len(self.nodes)}", **attributes))
        return name

    def normal(self, *shape: int, spread: float = 1.0) -> str:
        return self.constant(self.rng.normal(0, spread, shape).astype(np.float32))

    def conv(self, x: str, outputs: int, kernel: int = 3, *, stride: int = 1, pad: int | None = None, group: int = 1, norm: bool = True) -> str:
        inputs = self.channels // group
        spread = (2 / (inputs * kernel * kernel)) ** 0.5
        pads = [kernel // 2 if pad is None else pad] * 4
        bias = [] if norm else [self.normal(outputs, spread=0.3)]
        x = self.node("Conv", x, self.normal(outputs, inputs, kernel, kernel, spread=spread), *bias, strides=[stride] * 2, pads=pads, group=group, kernel_shape=[kernel] * 2)
        self.channels = outputs
        if norm:
            values = (self.rng.uniform(0.7, 1.4, outputs), self.rng.normal(0, 0.3, outputs), self.rng.normal(0, 0.3, outputs), self.rng.uniform(0.6, 1.5, outputs))
            x = self.node("BatchNormalization", x, *(self.constant(value.astype(np.float32)) for value in values))
        return x

    def clip(self, x: str, low: float, high: float) -> str:
        return self.node("Clip", x, self.constant(np.float32(low)), self.constant(np.float32(high)))

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        return self.node("Gemm", x, self.normal(outputs, inputs, spread=inputs**-0.5), self.normal(outputs, spread=0.1), transB=1)

    def model(self, output: str, *, batch: int | str = 1, side: int | str = SIDE, outputs: int = CLASSES) -> onnx.ModelProto:
        graph = helper.make_graph(
            [*self.nodes, helper.make_node("Identity", [output], ["scores"])],
            "elsewhere",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, side, side])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, outputs])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model
