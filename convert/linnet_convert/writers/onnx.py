"""A .tflite to ONNX: the same integers and scales, in a form that engines run in integers.

Every stored activation is a QuantizeLinear and DequantizeLinear pair in uint8, weights are int8 with a scale for each
channel, and the layout is NCHW from the first transpose to the last flatten. In this form ONNX Runtime fuses every
convolution, addition and pooling; with int8 activations it leaves those with two readers in float. OpenVINO runs every
convolution in int8; when it reads the .tflite itself it leaves the depthwise ones in float.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from linnet_convert.errors import ConversionError
from linnet_convert.readers.tflite_graph import Graph, plain_ends
from linnet_convert.tflite_to_onnx.constants import read_folded
from linnet_convert.tflite_to_onnx.onnx_graph import OPSET
from linnet_convert.tflite_to_onnx.operators import OPERATORS
from linnet_convert.tflite_to_onnx.translation import PIXELS, Translation
from linnet_convert.writers.artifacts import Outputs, linnet_artifact, model_path
from linnet_devices.api import Precision
from linnet_runtime.bundle import Artifact


def to_onnx(tflite: Path, precision: Precision, root: Path, *, values: Outputs = "logits") -> Artifact:
    """Writes ``model.PRECISION.onnx`` into a bundle's directory, from a .tflite with one picture in. Its pixels are
    NHWC there, and int8 ones uint8; its logits, or its feature map in NHWC, are float32.

    Raises:
        ConversionError: an operator that cannot be translated, by its name.
    """
    graph = plain_ends(read_folded(tflite))
    path = model_path(root, "onnx", precision, values=values)
    onnx.save(translate(graph, values), path)
    requires = {"onnx_opset": str(OPSET)}
    names = (PIXELS, values)
    return linnet_artifact(root, path, "onnx", precision, graph, names=names, requires=requires, values=values)


def translate(graph: Graph, values: Outputs = "logits") -> onnx.ModelProto:
    """The ONNX model of a .tflite with one picture in, and one row of logits or a feature map out."""
    translation = Translation(graph)
    pixels, output = graph.inputs[0], graph.outputs[0]
    translation.take_in(pixels)
    for operator in graph.operators:
        if operator.name not in OPERATORS:
            raise ConversionError(
                f"operator {operator.name}", got="no translation to ONNX", expected="one of " + ", ".join(OPERATORS)
            )
        OPERATORS[operator.name](translation, operator)
    return translation.finish(output) if values == "logits" else translation.finish_map(output)
