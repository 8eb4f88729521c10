"""The table of TensorFlow Lite's operators and their translations to ONNX.

The layout is NCHW throughout, [1, C, 1, 1] after pooling; a Dense layer is a 1x1 convolution there, or one as large as
the picture that was flattened before it.
"""

from __future__ import annotations

from collections.abc import Callable

from linnet_convert.readers.tflite_graph import Operator
from linnet_convert.tflite_to_onnx.elementwise import clamp, elementwise, function, softmax
from linnet_convert.tflite_to_onnx.layout import alias, concatenate, crop, dequantize, pad, requantize
from linnet_convert.tflite_to_onnx.translation import Translation
from linnet_convert.tflite_to_onnx.windows import convolution, fully_connected, pooling, reduction

OPERATORS: dict[str, Callable[[Translation, Operator], None]] = {
    "ADD": elementwise("Add"),
    "AVERAGE_POOL_2D": pooling("AveragePool"),
    "CAST": alias,
    "CONCATENATION": concatenate,
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": convolution,
    "DEQUANTIZE": dequantize,
    "DIV": elementwise("Div"),
    "FULLY_CONNECTED": fully_connected,
    "HARD_SWISH": function("HardSwish"),
    "LOGISTIC": function("Sigmoid"),
    "MAX_POOL_2D": pooling("MaxPool"),
    "MAXIMUM": elementwise("Max"),
    "MEAN": reduction("GlobalAveragePool"),
    "MINIMUM": elementwise("Min"),
    "MUL": elementwise("Mul"),
    "PAD": pad,
    "QUANTIZE": requantize,
    "REDUCE_MAX": reduction("MaxPool"),
    "RELU": clamp,
    "RELU6": clamp,
    "RELU_N1_TO_1": clamp,
    "RESHAPE": alias,
    "SOFTMAX": softmax,
    "SQUEEZE": alias,
    "STRIDED_SLICE": crop,
    "SUB": elementwise("Sub"),
}
