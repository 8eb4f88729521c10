"""A float ONNX model as the same network in Keras, from which TensorFlow Lite and int8 models are made."""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras
import onnx
import onnxruntime
from keras import layers

from linnet_convert.errors import ConversionError
from linnet_convert.facts import CHANNELS
from linnet_convert.onnx_to_keras.graph import Node, Value, constants_of
from linnet_convert.onnx_to_keras.operators import OPERATORS


def onnx_to_keras(model: onnx.ModelProto, layout: str) -> keras.Model:
    """The network of a float model with one picture in and one row out, and no open dimension.

    Args:
        model: the ONNX model.
        layout: of its input, "NHWC" or "NCHW".

    Returns:
        A Functional model: float32 [N, H, W, 3] in, whatever the ONNX's layout; [N, classes] out.

    Raises:
        ConversionError: an operator that has no translation, by its name.
    """
    graph = _simplified(model).graph
    unknown = sorted({node.op_type for node in graph.node} - OPERATORS.keys() - {"Constant"})
    if unknown:
        raise ConversionError(
            f"operator {', '.join(unknown)}",
            got="no translation to Keras",
            expected="one of " + ", ".join(OPERATORS),
            fix="only the formats onnx and openvino, and no calibration photos",
        )
    (given,) = graph.input
    shape = [side.dim_value for side in given.type.tensor_type.shape.dim]
    sides = [*shape[2:], CHANNELS] if layout == "NCHW" else shape[1:]
    pixels = keras.Input(sides, name="normalised")
    constants = constants_of(graph)
    values = {given.name: Value(pixels, picture=layout == "NCHW")}
    for proto in graph.node:
        if proto.op_type != "Constant" and proto.output[0] not in constants:
            node = Node(proto, values, constants)
            values[proto.output[0]] = OPERATORS[proto.op_type](node)
    last = values[graph.output[0].name]
    logits = layers.Flatten(name="row")(last.tensor) if last.picture else last.tensor
    return keras.Model(pixels, logits)


def _simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model after ONNX Runtime's basic optimizations: constants and batch normalizations are folded."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "model.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)
