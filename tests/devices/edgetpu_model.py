"""A model as edgetpu_compiler leaves one, as far as an interpreter sees: a single operation ``edgetpu-custom-op``.

Simulated: what the operation holds for a real Edge TPU is missing. The fault kit's delegate gives it the mean of each
channel of the picture, so that a red picture is named red.
"""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import msgspec
from ai_edge_litert import schema_py_generated as schema

from linnet_devices.api import Model, TensorSpec
from linnet_devices.presets import EDGETPU_OP
from linnet_devices.testing.samples import HEIGHT, WIDTH, load_models

_SCALE = 1 / 64


def write_compiled_model(path: Path) -> Model:
    """Writes it, uint8 [1, 24, 32, 3] to uint8 [1, 3], and gives its entry."""
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes = [_operator_code()]
    model.buffers = [schema.BufferT()]
    model.subgraphs = [_graph()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    int8 = next(model for model in load_models() if model.path.endswith("int8.tflite"))
    return msgspec.structs.replace(
        int8,
        path=str(path),
        output=TensorSpec(
            name="logits", shape=(1, 3), dtype="uint8", layout="NC", scale=_SCALE, zero_point=0, values="logits"
        ),
        compiled_for="edgetpu",
    )


def _operator_code() -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = EDGETPU_OP
    code.version = 1
    return code


def _graph() -> schema.SubGraphT:
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = [0], [1]
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [_tensor("pixels", (1, HEIGHT, WIDTH, 3), 1 / 128, 128), _tensor("logits", (1, 3), _SCALE, 0)]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    return graph


def _tensor(name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), schema.TensorType.UINT8, 0
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
    return tensor
