"""Comparison layer by layer: each tensor that a .tflite stores against the same tensor of the quantized Keras model.

Each Keras layer receives what the .tflite stored before it, not what Keras computed. So errors do not accumulate, and a
tensor outside its tolerance names the layer that is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from linnet_convert.readers.tflite_graph import Graph, Operator, keeping_interpreter, read_graph
from linnet_devices.api import Pixels
from linnet_train.quantization import FakeQuantize, Rounding, compute, roundings

PHOTOS = 8
# On the same inputs only rounding differs, by a step now and then: 0.1 was measured for MobileNetV2, and 0.3 with hard
# swish.
_MOST_MEAN_STEPS = 0.75
_SAME_SCALE = 1e-3


@dataclass(frozen=True)
class LayerDifference:
    """One stored tensor of the .tflite against the same tensor in Keras."""

    layer: str
    """The Keras layer that rounds the tensor."""
    operator: str
    """The TensorFlow Lite operator that stores it."""
    tensor: str
    """Its name in the .tflite."""
    step: float
    """Its quantization step, which is its scale."""
    keras_step: float
    """The step in Keras."""
    mean: float
    """The mean absolute difference, in steps."""
    p99: float
    """The 99th percentile of the absolute difference, in steps."""
    within: bool
    """Whether the mean is within its tolerance, and the two steps are equal."""

    def __str__(self) -> str:
        said = f"{self.operator} of layer {self.layer} is off by {self.mean:.3g} steps on average"
        if _alike(self.step, self.keras_step):
            return said
        return f"{said}, and its step is {self.step:.4g} where Keras's is {self.keras_step:.4g}"


def compare_layers(model: keras.Model, tflite: Path, pixels: Pixels) -> tuple[LayerDifference, ...]:
    """The difference of every tensor that both have, in the order in which they are computed.

    Args:
        model: quantized, from ``linnet_train.quantization``.
        tflite: the .tflite that was made from it.
        pixels: uint8 [N, H, W, 3]; the first ``PHOTOS`` are used.
    """
    graph = read_graph(tflite)
    operators = _operators(list(roundings(model)), graph)
    interpreter = keeping_interpreter(tflite)
    photos = pixels[:PHOTOS]
    tensors: list[list[NDArray[np.float32]]] = [[] for _ in operators]
    for photo in np.split(photos, len(photos)):
        interpreter.set_tensor(graph.inputs[0], photo)
        interpreter.invoke()
        for row, operator in zip(tensors, operators, strict=True):
            if operator is not None:
                row.append(_real(interpreter, graph, operator.outputs[0]))
    differences: list[LayerDifference] = []
    meeting = iter(zip(operators, tensors, strict=True))

    def stored(layer: FakeQuantize, inputs: Any) -> Any:
        operator, values = next(meeting)
        expected = layer(inputs)
        if operator is None:
            return expected
        found = np.concatenate(values).reshape(expected.shape)
        differences.append(_difference(layer, operator, graph, np.abs(found - np.asarray(expected))))
        return keras.ops.convert_to_tensor(found)

    compute(model, photos, stored)
    return tuple(differences)


def first_to_leave(differences: Sequence[LayerDifference]) -> LayerDifference | None:
    """The first tensor outside its tolerance; None where there is none."""
    return next((row for row in differences if not row.within), None)


def _operators(found: list[Rounding], graph: Graph) -> list[Operator | None]:
    """The operator that stores each rounding: the one whose tensor's name contains the names of its layers. None where
    the converter did not need it.

    TensorFlow appends one number to all layer names of a model that it traces again.
    """
    words = [set(re.split("[/;]", graph.tensors[operator.outputs[0]].name)) for operator in graph.operators]

    def operator_of(rounding: Rounding, suffix: str) -> Operator | None:
        names = {name + suffix for name in rounding.computed_by}
        same_size = [
            operator
            for operator, mentioned in zip(graph.operators, words, strict=True)
            if names & mentioned and _size(graph, operator) == rounding.size
        ]
        step = _keras_step(rounding.layer)
        exact = [operator for operator in same_size if _alike(_step(graph, operator), step)]
        return next(reversed(exact or same_size), None)

    suffixes = ("", *(f"_{i}" for i in range(1, 10)))
    by_suffix = [[operator_of(rounding, suffix) for rounding in found] for suffix in suffixes]
    return max(by_suffix, key=lambda operators: len(operators) - operators.count(None))


def _size(graph: Graph, operator: Operator) -> int:
    tensor = graph.tensors[operator.outputs[0]]
    return math.prod(tensor.shape) if tensor.quantization is not None else 0


def _step(graph: Graph, operator: Operator) -> float:
    quantization = graph.tensors[operator.outputs[0]].quantization
    return float(quantization.scale[0]) if quantization is not None else 0.0


def _keras_step(layer: FakeQuantize) -> float:
    return (float(layer.maximum) - float(layer.minimum)) / 255


def _alike(step: float, keras_step: float) -> bool:
    return abs(step - keras_step) <= _SAME_SCALE * keras_step


def _real(interpreter: Any, graph: Graph, index: int) -> NDArray[np.float32]:
    quantization = graph.tensors[index].quantization
    stored = interpreter.get_tensor(index).astype(np.float32)
    if quantization is None:
        return stored
    return (stored - np.float32(quantization.zero_point[0])) * quantization.scale[0]


def _difference(
    layer: FakeQuantize, operator: Operator, graph: Graph, difference: NDArray[np.float32]
) -> LayerDifference:
    step, keras_step = _step(graph, operator), _keras_step(layer)
    steps = difference / np.float32(keras_step)
    mean = float(steps.mean(dtype=np.float64))
    return LayerDifference(
        layer=layer.name,
        operator=operator.name,
        tensor=graph.tensors[operator.outputs[0]].name.partition(";")[0],
        step=step,
        keras_step=keras_step,
        mean=mean,
        p99=float(np.percentile(steps, 99)),
        within=mean <= _MOST_MEAN_STEPS and _alike(step, keras_step),
    )
