"""Model files with open dimensions, and outputs with further axes: opened at the shapes that their TensorSpecs give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import openvino
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

from linnet_devices import DeviceError, Model, OpenOptions, TensorSpec, load_device

HEIGHT, WIDTH = 6, 10
PICTURES = np.random.RandomState(0).randint(0, 256, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)
MEANS = PICTURES.mean(axis=(1, 2))


def write_tflite(path: Path) -> None:
    """float32 [?, ?, ?, 3] to the mean of each channel [?, 3]: its shapes have 1 for each open dimension."""
    model = schema.ModelT()
    model.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    code.version = 1
    model.operatorCodes = [code]
    axes = schema.BufferT()
    axes.data = list(np.array([1, 2], np.int32).tobytes())
    model.buffers = [schema.BufferT(), axes]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operator.builtinOptions = schema.ReducerOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor("pixels", [-1, -1, -1, 3]),
        _tensor("axes", [2], schema.TensorType.INT32, buffer=1),
        _tensor("means", [-1, 3]),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def _tensor(name: str, signature: list[int], kind: int = schema.TensorType.FLOAT32, buffer: int = 0) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = name, kind, buffer
    tensor.shape = [max(1, length) for length in signature]
    if -1 in signature:
        tensor.shapeSignature = signature
    return tensor


def write_onnx(path: Path) -> None:
    """float32 [batch, 3, height, width] to the mean of each channel [batch, 3, 1, 1]."""
    node = helper.make_node("GlobalAveragePool", ["pixels"], ["means"])
    open_shape = ["batch", 3, "height", "width"]
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, open_shape) for name in ("pixels", "means"))
    graph = helper.make_graph([node], "means", [given], [made])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write_ir(path: Path) -> None:
    """The same as an IR."""
    write_onnx(path.with_suffix(".onnx"))
    openvino.save_model(openvino.convert_model(path.with_suffix(".onnx")), path, compress_to_fp16=False)


MODELS: dict[str, tuple[Callable[[Path], None], str, dict[str, Any], dict[str, Any]]] = {
    "cpu:litert": (write_tflite, "tflite", {"layout": "NHWC", "shape": (1, HEIGHT, WIDTH, 3)}, {"shape": (1, 3)}),
    "cpu:onnx": (write_onnx, "onnx", {"layout": "NCHW", "shape": (1, 3, HEIGHT, WIDTH)}, {"shape": (1, 3, 1, 1)}),
    "cpu:openvino": (write_ir, "openvino", {"layout": "NCHW", "shape": (1, 3, HEIGHT, WIDTH)}, {"shape": (1, 3, 1, 1)}),
}


def model_for(device: str, folder: Path, **changes: Any) -> Model:
    write, kind, pixels, means = MODELS[device]
    path = folder / {"tflite": "m.tflite", "onnx": "m.onnx", "openvino": "m.xml"}[kind]
    write(path)
    return Model(
        path=str(path),
        format=kind,  # type: ignore[arg-type]
        precision="float32",
        input=TensorSpec(**({"name": "pixels", "dtype": "float32"} | pixels | changes)),
        output=TensorSpec(**({"name": "means", "dtype": "float32", "layout": "NC", "values": "logits"} | means)),
    )


@pytest.mark.parametrize("device", MODELS)
def test_open_dimensions_take_the_size_of_the_spec(device: str, tmp_path: Path) -> None:
    """The whole picture counts, not the one pixel that a file with open dimensions has in its shape."""
    with load_device(device).open(model_for(device, tmp_path), OpenOptions()) as session:
        np.testing.assert_allclose(session.run(PICTURES), MEANS, rtol=1e-5)


def test_a_dimension_that_is_fixed_cannot_be_opened_at_another_length(tmp_path: Path) -> None:
    """Four channels for a file that takes three: an error in one line that names the file."""
    model = model_for("cpu:litert", tmp_path, shape=(1, HEIGHT, WIDTH, 4))
    with pytest.raises(DeviceError, match=r"m\.tflite") as error:
        load_device("cpu:litert").open(model, OpenOptions())
    assert "\n" not in str(error.value)
