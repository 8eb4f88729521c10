"""What the translations of all ONNX operators to Keras share: values by name, constants, errors.

ONNX pictures are NCHW; those of Keras, and of models that become TensorFlow Lite, are NHWC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import onnx
from keras import layers
from numpy.typing import NDArray
from onnx import numpy_helper

from linnet_convert.errors import ConversionError

_PICTURE_RANK = 4


@dataclass(frozen=True)
class Value:
    """A tensor of the ONNX graph in Keras."""

    tensor: Any
    """The Keras tensor."""
    picture: bool
    """Whether it is NHWC in Keras and NCHW in ONNX; otherwise its axes are the same in both."""
    flat: tuple[int, int, int] | None = None
    """(channels, height, width) of the picture that it was flattened from: Keras flattens in the order of NHWC, ONNX in
    that of NCHW. None where the order is the same in both.
    """

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of a picture."""
        return self.tensor.shape[1], self.tensor.shape[2]


class Node:
    """A node of the ONNX graph that is being translated: operator, attributes, and inputs as values or constants."""

    def __init__(self, proto: onnx.NodeProto, values: dict[str, Value], constants: dict[str, NDArray[Any]]) -> None:
        self.operator = proto.op_type
        self.name = (proto.name or proto.output[0]).strip("/").replace("/", "_").replace(":", "_")
        self.attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in proto.attribute}
        self._inputs = list(proto.input)
        self._values, self._constants = values, constants

    def refuse(self, got: str, expected: str | None = None) -> ConversionError:
        """The error of a node that has no translation."""
        return ConversionError(f"operator {self.operator} ({self.name})", got=got, expected=expected)

    def value(self, place: int = 0) -> Value:
        """A computed input. Raises ConversionError where it is a constant."""
        name = self._inputs[place] if place < len(self._inputs) else ""
        if name not in self._values:
            raise self.refuse(f"no computed input {place}", "one")
        return self._values[name]

    def picture(self, place: int = 0) -> Value:
        """A computed input that is a picture."""
        value = self.value(place)
        if not value.picture:
            raise self.refuse(f"an input of shape {list(value.tensor.shape)}", "a picture")
        return value

    def constant(self, place: int) -> NDArray[Any] | None:
        """A constant input, or None where it is left out. Raises ConversionError where it is computed."""
        name = self._inputs[place] if place < len(self._inputs) else ""
        if not name:
            return None
        if name not in self._constants:
            raise self.refuse(f"a computed input {place}", "a constant one")
        return self._constants[name]

    def weights(self, place: int) -> NDArray[Any]:
        """A constant input. Raises ConversionError where it is left out or computed."""
        found = self.constant(place)
        if found is None:
            raise self.refuse(f"no input {place}", "a constant one")
        return found

    def is_constant(self, place: int) -> bool:
        """Whether an input is a constant."""
        return self._inputs[place] in self._constants

    def values(self) -> list[Value]:
        """All its inputs. Raises ConversionError where one is a constant."""
        return [self.value(place) for place in range(len(self._inputs))]

    def integers(self, attribute: str, place: int) -> list[int]:
        """Integers that are an attribute in older operator sets and an input in newer ones; [] where they are left
        out.
        """
        found = self.attributes.get(attribute)
        if found is None:
            found = self.constant(place)
        return [] if found is None else [int(number) for number in np.ravel(found)]


def with_weights(layer: keras.Layer, tensor: Any, weights: list[NDArray[Any]]) -> Any:
    """The output of a new layer with these weights."""
    output = layer(tensor)
    layer.set_weights(weights)
    return output


def affine(tensor: Any, scale: NDArray[Any], offset: NDArray[Any], name: str) -> Any:
    """``tensor * scale + offset`` by channel, as a BatchNormalization, which quantization supports."""
    channels = tensor.shape[-1]
    epsilon = 1e-7
    scale, offset = (np.broadcast_to(np.ravel(values), (channels,)).astype(np.float32) for values in (scale, offset))
    weights = [scale * np.float32(np.sqrt(1 + epsilon)), offset, np.zeros(channels), np.ones(channels)]
    return with_weights(layers.BatchNormalization(epsilon=epsilon, name=name), tensor, weights)


def constants_of(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """The graph's constants by name, and constants that a Cast converts.

    ONNX Runtime widens half-precision weights by a Cast, which it adds after it has folded the constants.
    """
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Cast" and node.input[0] in found:
            to = next(entry.i for entry in node.attribute if entry.name == "to")
            found[node.output[0]] = found[node.input[0]].astype(onnx.helper.tensor_dtype_to_np_dtype(to))
    return found
