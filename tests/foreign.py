"""Small .onnx models as PyTorch exports them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 32
CLASSES = 3
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # torchvision's, in pixels
NORMALIZED = ("--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375")


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
        label = f"/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=label, **attributes))
        return name

    def normal(self, *shape: int, spread: float = 1.0) -> str:
        return self.constant(self.rng.normal(0, spread, shape).astype(np.float32))

    def conv(self, x: str, outputs: int, kernel: int = 3, *, stride: int = 1, group: int = 1, norm: bool = True) -> str:
        inputs = self.channels // group
        weights = self.normal(outputs, inputs, kernel, kernel, spread=(2 / (inputs * kernel * kernel)) ** 0.5)
        bias = [] if norm else [self.normal(outputs, spread=0.3)]
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": group}
        x = self.node("Conv", x, weights, *bias, **window)
        self.channels = outputs
        if not norm:
            return x
        gamma, variance = self.rng.uniform(0.7, 1.4, (2, outputs)).astype(np.float32)
        beta, mean = self.rng.normal(0, 0.3, (2, outputs)).astype(np.float32)
        return self.node("BatchNormalization", x, *map(self.constant, (gamma, beta, mean, variance)))

    def clip(self, x: str, low: float, high: float) -> str:
        return self.node("Clip", x, self.constant(np.float32(low)), self.constant(np.float32(high)))

    def dense(self, x: str, inputs: int, outputs: int = CLASSES) -> str:
        weights = self.normal(outputs, inputs, spread=inputs**-0.5)
        return self.node("Gemm", x, weights, self.normal(outputs, spread=0.1), transB=1)

    def model(
        self, output: str, *, batch: int | str = 1, side: int | str = SIDE, opset: int = 17, check: bool = True
    ) -> onnx.ModelProto:
        graph = helper.make_graph(
            [*self.nodes, helper.make_node("Identity", [output], ["scores"])],
            "elsewhere",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, side, side])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, CLASSES])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        if check:
            onnx.checker.check_model(model, full_check=True)
        return model


def mobile() -> tuple[Network, str]:
    """A MobileNetV2's block and its head."""
    n = Network()
    x = n.clip(n.conv("input", 8, stride=2), 0, 6)
    y = n.clip(n.conv(x, 24, 1), 0, 6)
    y = n.clip(n.conv(y, 24, group=24), 0, 6)
    x = n.node("Add", x, n.conv(y, 8, 1))
    return n, n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), 8)


def residual() -> tuple[Network, str]:
    """A ResNet's beginning, a convolution in groups, and a dense layer on a picture."""
    n = Network()
    x = n.node("Relu", n.conv("input", 8, 7, stride=2))
    x = n.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = n.node("Relu", n.conv(x, 16, group=2))
    return n, n.dense(n.node("Flatten", x), 16 * 8 * 8)


def squeezed() -> tuple[Network, str]:
    """A MobileNetV3's block, and a softmax."""
    n = Network()
    x = n.node("HardSwish", n.conv("input", 8, stride=2))
    s = n.node("Relu", n.conv(n.node("ReduceMean", x, axes=[2, 3], keepdims=1), 4, 1, norm=False))
    x = n.node("Mul", x, n.node("HardSigmoid", n.conv(s, 8, 1, norm=False), alpha=1 / 6, beta=0.5))
    return n, n.node("Softmax", n.dense(n.node("ReduceMean", x, axes=[2, 3], keepdims=0), 8), axis=1)


def branched() -> tuple[Network, str]:
    """SiLU, two kinds of pooling side by side, numbers and channels that scale and shift."""
    n = Network()
    x = n.conv("input", 8, stride=2)
    x = n.node("Mul", x, n.node("Sigmoid", x))
    halves = [n.node(kind, x, kernel_shape=[2, 2], strides=[2, 2]) for kind in ("AveragePool", "MaxPool")]
    n.channels = 16
    x = n.conv(n.node("Concat", *halves, axis=1), 6)
    x = n.node("Div", n.node("Mul", x, n.constant(np.float32(0.5))), n.constant(np.float32(0.7)))
    x = n.node("Sub", n.node("Add", x, n.normal(1, 6, 1, 1)), n.constant(np.float32(0.1)))
    x = n.node("Reshape", n.node("GlobalAveragePool", x), n.constant(np.array([1, -1])))
    return n, n.dense(x, 6)
