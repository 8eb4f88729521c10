"""Every artifact of a bundle of MobileNetV2, as its own library reads it: one signature, and int8 that is int8."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from linnet_convert.readers.tflite_graph import Graph, read_graph
from linnet_convert.writers.tflite import to_tflite
from linnet_runtime.bundle import Artifact, open_bundle
from linnet_runtime.run_files import load_run_photos

SIDE, CLASSES = 48, 7
PATHS = [
    *("model.int8.tflite", "model.fp32.tflite", "model.int8.onnx", "model.fp32.onnx"),
    *("openvino/int8.xml", "openvino/fp16.xml"),
]
OF_PRECISION = {"int8": "int8", "fp32": "float32", "fp16": "float16"}
# MobileNetV2: a stem, 16 bottlenecks that expand and one that does not, a last one; and the head.
CONVOLUTIONS, DEPTHWISE, ADDITIONS = 35, 17, 10


@pytest.fixture
def artifacts(bundle_folder: Path) -> dict[str, Artifact]:
    bundle = open_bundle(bundle_folder)
    return {str(Path(artifact.path).relative_to(bundle_folder)): artifact for artifact in bundle.artifacts}


def interpreter(path: Path) -> Interpreter:
    """Without a delegate, which would take operators out of sight."""
    return Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def optimised(path: Path, tmp_path: Path) -> onnx.ModelProto:
    """The graph that ONNX Runtime makes of a model before it runs it."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3  # it says that the file fits this machine alone
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return onnx.load(tmp_path / "optimised.onnx")


def test_a_bundle_has_every_artifact(artifacts: dict[str, Artifact]) -> None:
    assert list(artifacts) == PATHS


@pytest.mark.parametrize("name", PATHS)
def test_the_manifest_gives_the_one_signature(name: str, artifacts: dict[str, Artifact]) -> None:
    artifact = artifacts[name]
    precision = OF_PRECISION[Path(name).name.split(".")[-2 if "model" in name else 0]]
    assert artifact.precision == precision
    pixels, logits = artifact.input, artifact.output
    assert (pixels.shape, pixels.dtype, pixels.layout, pixels.color) == ((1, SIDE, SIDE, 3), "uint8", "NHWC", "rgb")
    assert (pixels.mean, pixels.std) == (None, None)
    assert (logits.shape, logits.layout, logits.values) == ((1, CLASSES), "NC", "logits")
    if precision == "int8":
        assert (pixels.scale, pixels.zero_point) == (1 / 128, 128)
        # Other programs expect the dequantized numbers of ONNX and IR, and MediaPipe uint8 of a .tflite.
        assert logits.dtype == ("uint8" if name.endswith(".tflite") else "float32")
        assert logits.scale is not None
        assert 0 < logits.scale < 1
    else:
        assert (logits.dtype, logits.scale, pixels.scale) == ("float32", None, None)


@pytest.mark.parametrize("name", ["model.int8.tflite", "model.fp32.tflite"])
def test_a_tflite_has_that_signature_and_fixed_shapes(
    name: str, artifacts: dict[str, Artifact], bundle_folder: Path
) -> None:
    lite, artifact = interpreter(bundle_folder / name), artifacts[name]
    for details, spec in ((lite.get_input_details(), artifact.input), (lite.get_output_details(), artifact.output)):
        (tensor,) = details
        assert (tensor["name"], tuple(tensor["shape"])) == (spec.name, spec.shape)
        assert np.dtype(tensor["dtype"]).name == spec.dtype
        if spec.scale is not None:
            assert tensor["quantization"] == (pytest.approx(spec.scale), spec.zero_point)
    for tensor in lite.get_tensor_details():
        assert -1 not in tensor["shape_signature"], tensor["name"]


@pytest.mark.parametrize("name", ["model.int8.onnx", "model.fp32.onnx"])
def test_an_onnx_has_that_signature_and_fixed_shapes(
    name: str, artifacts: dict[str, Artifact], bundle_folder: Path
) -> None:
    model, artifact = onnx.load(bundle_folder / name), artifacts[name]
    onnx.checker.check_model(model, full_check=True)
    assert artifact.requires == {"onnx_opset": str(model.opset_import[0].version)}
    for (value,), spec in ((model.graph.input, artifact.input), (model.graph.output, artifact.output)):
        tensor = value.type.tensor_type
        assert value.name == spec.name
        assert onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name == spec.dtype
        assert tuple(side.dim_value for side in tensor.shape.dim) == spec.shape
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    assert len(inferred.graph.value_info) == len(model.graph.node) - 1, "every value but the output"
    for value in inferred.graph.value_info:
        assert all(side.dim_value > 0 for side in value.type.tensor_type.shape.dim), value.name


@pytest.mark.parametrize("name", ["openvino/int8.xml", "openvino/fp16.xml"])
def test_an_ir_has_that_signature_and_fixed_shapes(
    name: str, artifacts: dict[str, Artifact], bundle_folder: Path
) -> None:
    model, artifact = openvino.Core().read_model(bundle_folder / name), artifacts[name]
    types = {"uint8": openvino.Type.u8, "float32": openvino.Type.f32}
    for port, spec in ((model.input(0), artifact.input), (model.output(0), artifact.output)):
        assert port.any_name == spec.name
        assert port.element_type == types[spec.dtype]
        assert tuple(port.shape) == spec.shape
    for operation in model.get_ops():
        assert all(output.partial_shape.is_static for output in operation.outputs()), operation
    assert artifact.weights is not None
    assert Path(artifact.weights.path) == (bundle_folder / name).with_suffix(".bin")


def test_the_int8_tflite_computes_in_integers_alone(bundle_folder: Path) -> None:
    lite = interpreter(bundle_folder / "model.int8.tflite")
    kinds = {np.dtype(tensor["dtype"]).name for tensor in lite.get_tensor_details()}
    assert kinds == {"int8", "uint8", "int32"}
    names = [operator["op_name"] for operator in lite._get_ops_details()]
    assert {name: names.count(name) for name in set(names)} == {
        "QUANTIZE": 2,  # uint8 to int8 and back: the same steps
        "CONV_2D": CONVOLUTIONS,
        "DEPTHWISE_CONV_2D": DEPTHWISE,
        "ADD": ADDITIONS,
        "MEAN": 1,
        "FULLY_CONNECTED": 1,
    }


def test_onnx_runtime_runs_every_convolution_in_integers(bundle_folder: Path, tmp_path: Path) -> None:
    names = [node.op_type for node in optimised(bundle_folder / "model.int8.onnx", tmp_path).graph.node]
    assert names.count("QLinearConv") == CONVOLUTIONS + DEPTHWISE + 1  # the head is a convolution too
    assert names.count("QLinearAdd") == ADDITIONS
    integer = {"QLinearConv", "QLinearAdd", "QLinearGlobalAveragePool", "Transpose"}
    assert set(names) == integer | {"DequantizeLinear", "Flatten"}
    assert names[-2:] == ["Flatten", "DequantizeLinear"]  # of the logits


def test_openvino_runs_every_convolution_in_integers(bundle_folder: Path) -> None:
    compiled = openvino.Core().compile_model(bundle_folder / "openvino" / "int8.xml", "CPU")
    executed = [dict(operation.get_rt_info().items()) for operation in compiled.get_runtime_model().get_ops()]
    layers = [(info["layerType"].astype(str), info["runtimePrecision"].astype(str)) for info in executed]
    convolutions = [precision for kind, precision in layers if kind in ("Convolution", "FullyConnected")]
    assert len(convolutions) == CONVOLUTIONS + DEPTHWISE + 1
    assert set(convolutions) <= {"u8", "i8"}, layers


def test_weights_are_stored_in_eight_bits_and_in_half_precision(bundle_folder: Path) -> None:
    size = {name: (bundle_folder / name).stat().st_size for name in PATHS}
    for name in ("openvino/int8.xml", "openvino/fp16.xml"):
        size[name] = (bundle_folder / name).with_suffix(".bin").stat().st_size
    assert size["model.int8.onnx"] < 0.45 * size["model.fp32.onnx"]
    assert size["model.int8.tflite"] < 0.45 * size["model.fp32.tflite"]
    assert size["openvino/fp16.xml"] < 0.55 * size["model.fp32.onnx"]
    assert size["openvino/int8.xml"] < 0.4 * size["model.fp32.onnx"]


@pytest.mark.parametrize("name", ["model.fp32.tflite", "model.fp32.onnx"])
def test_float_artifacts_round_nothing(name: str, bundle_folder: Path) -> None:
    if name.endswith(".tflite"):
        kinds = {np.dtype(t["dtype"]).name for t in interpreter(bundle_folder / name).get_tensor_details()}
        assert kinds == {"uint8", "float32", "int32"}
    else:
        names = {node.op_type for node in onnx.load(bundle_folder / name).graph.node}
        assert not {"QuantizeLinear", "DequantizeLinear"} & names


def parameters(graph: Graph) -> list[tuple[object, ...]]:
    """Shape, dtype, scales and zero points of every tensor; names count the models of a process."""
    quantizations = [tensor.quantization for tensor in graph.tensors]
    return [
        (tensor.shape, tensor.dtype.name, q and (q.scale.tolist(), q.zero_point.tolist(), q.axis))
        for tensor, q in zip(graph.tensors, quantizations, strict=True)
    ]


def test_no_range_comes_from_the_representative_photos(run_folder: Path, bundle_folder: Path, tmp_path: Path) -> None:
    """The bundle was made with photos. Noise of low contrast would give every activation another range."""
    noise = np.random.default_rng(0).integers(120, 131, (16, SIDE, SIDE, 3), np.uint8)
    assert np.ptp(load_run_photos(run_folder)["train"].pixels) > 200
    model = keras.saving.load_model(run_folder / "qat.keras", compile=False)
    artifact = to_tflite(model, "int8", noise, tmp_path)
    from_noise, from_photos = (read_graph(root / artifact.path) for root in (tmp_path, bundle_folder))
    assert parameters(from_noise) == parameters(from_photos)
    for mine, theirs in zip(from_noise.tensors, from_photos.tensors, strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data, err_msg=mine.name)
