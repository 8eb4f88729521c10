"""Integer reports: what an engine computes in, of Linnet's artifacts and of models made elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import msgspec
import numpy as np
import onnx
import openvino
import openvino.opset13 as ops
import pytest
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static

from linnet_convert.errors import ConversionError
from linnet_convert.integer import IntegerReport, integer_report, refuse_dynamic_range
from linnet_devices.api import Format, TensorSpec
from linnet_runtime.bundle import Artifact, open_bundle
from program import DATA, needs_all_of_onednn, needs_data

SIDE, CLASSES = 16, 40


def artifact(path: Path, precision: str) -> Artifact:
    """An entry that claims a precision, which is all that the report reads of it beside path and format."""
    kinds: dict[str, Format] = {".tflite": "tflite", ".onnx": "onnx", ".xml": "openvino"}
    spec = TensorSpec(name="x", shape=(1, SIDE, SIDE, 3), dtype="float32", layout="NHWC")
    return Artifact(
        path=str(path), format=kinds[path.suffix], precision=precision, bytes=0, sha256="", input=spec, output=spec
    )


def report_of(path: Path) -> IntegerReport:
    return integer_report(artifact(path, "int8"), Path("/"))


@pytest.fixture(scope="module")
def reports(bundle_folder: Path) -> dict[str, IntegerReport]:
    bundle = open_bundle(bundle_folder)
    root = bundle_folder
    relative = [msgspec.structs.replace(a, path=str(Path(a.path).relative_to(root))) for a in bundle.artifacts]
    return {a.path: integer_report(a, root) for a in relative}


@pytest.mark.parametrize(
    ("path", "kind", "output"),
    [
        ("model.int8.tflite", "fully integer", "uint8"),
        ("model.int8.onnx", "integer inside", "float32"),  # other programs expect logits, not steps
        ("openvino/int8.xml", "integer inside", "float32"),
    ],
)
def test_an_int8_artifact_computes_in_integers_from_pixels_to_logits(
    path: str, kind: str, output: str, reports: dict[str, IntegerReport]
) -> None:
    report = reports[path]
    assert (report.kind, report.path) == (kind, path)
    assert report.verdict.startswith("fully integer: ")
    assert (report.input, report.output) == ("uint8 [1, 48, 48, 3]", f"{output} [1, 7]")
    assert report.in_float == report.foreign == ()
    assert report.weights == {"per channel": 52, "per tensor": 1}


@pytest.mark.parametrize("path", ["model.fp32.tflite", "model.fp32.onnx", "openvino/fp16.xml"])
def test_a_float_artifact_says_that_it_is_float(path: str, reports: dict[str, IntegerReport]) -> None:
    assert reports[path].kind == "float"
    assert reports[path].verdict.startswith("not integer: a float model of ")
    assert reports[path].weights == {}


def test_operations_are_those_of_the_graph_that_the_engine_runs(reports: dict[str, IntegerReport]) -> None:
    lite = reports["model.int8.tflite"].operations
    assert lite["CONV_2D"] == {"int8": 35}
    assert lite["DEPTHWISE_CONV_2D"] == {"int8": 17}
    assert lite["QUANTIZE"] == {"int8": 1, "uint8": 1}
    assert reports["model.int8.onnx"].operations["QLinearConv"] == {"uint8": 53}
    assert reports["openvino/int8.xml"].operations["Convolution"] == {"uint8": 53}


def test_xnnpack_takes_mobilenet_v2_in_one_piece(reports: dict[str, IntegerReport]) -> None:
    pieces = reports["model.int8.tflite"].pieces
    assert pieces is not None
    assert (pieces.library, pieces.count, pieces.left_out) == ("XNNPACK", 1, {"QUANTIZE": 2})


# Models made elsewhere, each by the tool that a user would have taken.


@pytest.fixture(scope="module")
def network() -> keras.Model:
    x = keras.Input((SIDE, SIDE, 3))
    y = keras.layers.Conv2D(64, 3, name="first")(x)
    y = keras.layers.Conv2D(64, 3, activation="relu", name="second")(y)
    y = keras.layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, keras.layers.Dense(CLASSES, name="head")(y))


def representative() -> list[list[np.ndarray]]:
    rng = np.random.default_rng(0)
    return [[rng.normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)] for _ in range(8)]


def tflite(function: Callable[[tf.Tensor], tf.Tensor], network: keras.Model, path: Path, **settings: object) -> Path:
    signature = [tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32)]
    concrete = tf.function(function, input_signature=signature).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], network)
    converter.experimental_lower_to_saved_model = False
    for name, value in settings.items():
        setattr(converter, name, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        path.write_bytes(converter.convert())
    return path


DEFAULT = {"optimizations": [tf.lite.Optimize.DEFAULT]}


@pytest.fixture(scope="module")
def made(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("elsewhere")
    full = {**DEFAULT, "representative_dataset": representative}
    return {
        "dynamic.tflite": tflite(network, network, root / "dynamic.tflite", **DEFAULT),
        "int8.tflite": tflite(network, network, root / "int8.tflite", **full),
        "softplus.tflite": tflite(lambda x: tf.nn.softplus(network(x)), network, root / "softplus.tflite", **full),
        **float_onnx_and_its_forms(root),
        "weights.xml": weights_in_eight_bits(root / "weights.xml"),
    }


class Batches(CalibrationDataReader):  # type: ignore[misc]  # untyped
    def __init__(self) -> None:
        self._batches = iter([{"x": batch.transpose(0, 3, 1, 2)} for (batch,) in representative()])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def float_onnx_and_its_forms(root: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    weights = {"w1": rng.normal(size=(64, 3, 3, 3)), "w2": rng.normal(size=(64, CLASSES))}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "w2"], ["y"], name="head"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    path = {name: root / f"{name}.onnx" for name in ("float", "dynamic", "qdq", "head")}
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path["float"])
    quantize_dynamic(path["float"], path["dynamic"])
    qdq = {"quant_format": QuantFormat.QDQ, "per_channel": True}
    quantize_static(path["float"], path["qdq"], Batches(), **qdq)
    quantize_static(path["float"], path["head"], Batches(), op_types_to_quantize=["MatMul"], **qdq)
    xml = {f"{name}.xml": root / f"{name}.xml" for name in ("qdq", "head")}
    for name, out in xml.items():
        openvino.save_model(openvino.convert_model(path[Path(name).stem]), out)
    return {f"{name}.onnx": file for name, file in path.items()} | xml


def weights_in_eight_bits(path: Path) -> Path:
    """What compressing the weights alone makes of a network: int8 in the file, float in every computation."""
    rng = np.random.default_rng(0)

    def stored(*shape: int) -> openvino.Node:
        scale = np.full((shape[0], *[1] * (len(shape) - 1)), 0.01, np.float32)
        return ops.multiply(
            ops.convert(ops.constant(rng.integers(-127, 127, shape).astype(np.int8)), np.float32), scale
        )

    pixels = ops.parameter([1, 3, SIDE, SIDE], np.float32, name="x")
    picture = ops.convolution(pixels, stored(64, 3, 3, 3), [1, 1], [0, 0], [0, 0], [1, 1])
    logits = ops.matmul(ops.reduce_mean(picture, ops.constant(np.array([2, 3]))), stored(CLASSES, 64), False, True)
    openvino.save_model(openvino.Model([logits], [pixels]), path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize(
    "name", ["dynamic.tflite", "dynamic.onnx", pytest.param("weights.xml", marks=needs_all_of_onednn)]
)
def test_dynamic_range_is_no_int8(name: str, made: dict[str, Path]) -> None:
    report = report_of(made[name])
    assert report.kind == "dynamic range"
    with pytest.raises(ConversionError) as error:
        refuse_dynamic_range(artifact(made[name], "int8"), report)
    assert f"{name}, an int8 model: got not integer: dynamic range only, " in str(error.value)
    refuse_dynamic_range(artifact(made[name], "float32"), report)  # nobody said that it is int8


def test_a_float_model_that_is_called_int8_is_refused(made: dict[str, Path]) -> None:
    with pytest.raises(ConversionError, match="an int8 model: got not integer: a float model of "):
        refuse_dynamic_range(artifact(made["float.onnx"], "int8"), report_of(made["float.onnx"]))


@pytest.mark.parametrize("name", ["int8.tflite", "qdq.onnx", "qdq.xml"])
def test_integers_between_float_ends_are_named_as_such(name: str, made: dict[str, Path]) -> None:
    report = report_of(made[name])
    assert report.kind == "integer inside"
    assert report.verdict.endswith(" operations, between a float32 input and a float32 output")
    refuse_dynamic_range(artifact(made[name], "int8"), report)


def test_conversions_that_are_left_are_counted(made: dict[str, Path]) -> None:
    for name in ("int8.tflite", "qdq.onnx"):
        assert report_of(made[name]).conversions == {"quantize": 1, "dequantize": 1}


@pytest.mark.parametrize(
    ("name", "convolution", "words"),
    [
        ("head.onnx", "Conv", "it reads the model's float input"),
        ("head.xml", "Convolution", "it reads f32 from Input, and OpenVINO"),
    ],
)
def test_what_is_left_in_float_is_named_with_the_reason(
    name: str, convolution: str, words: str, made: dict[str, Path]
) -> None:
    report = report_of(made[name])
    assert report.kind == "partly integer"
    assert report.verdict.startswith("not fully integer: ")
    (row,) = (row for row in report.in_float if row.kind == convolution)
    assert row.count == 1
    assert row.why.startswith(words)
    assert {"Flatten", "Reshape", "Reorder", "ReorderOutput"}.isdisjoint(row.kind for row in report.in_float)


def test_what_xnnpack_lacks_splits_a_network_into_pieces(made: dict[str, Path]) -> None:
    pieces = report_of(made["softplus.tflite"]).pieces
    assert pieces is not None
    assert pieces.count == 3
    assert pieces.left_out == {"EXP": 1, "LOG": 1}


def test_tensorflow_s_own_operators_are_named(network: keras.Model, tmp_path: Path) -> None:
    """As "Select TF ops" would write one; the interpreter here has none of them linked in."""
    path = tflite(lambda x: tf.math.digamma(network(x)), network, tmp_path / "m.tflite", allow_custom_ops=True)
    path.write_bytes(path.read_bytes().replace(b"Digamma", b"FlexDig"))
    report = report_of(path)
    assert report.foreign == ("FlexDig",)
    assert report.verdict.endswith("; another library computes FlexDig")
    assert report.pieces is None, "nothing runs it here"


@pytest.mark.parametrize("name", ["broken.tflite", "broken.onnx", "broken.xml"])
def test_a_file_that_its_engine_cannot_read_gets_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no model")
    with pytest.raises(ConversionError, match=rf"{name}: got .*, expected an? .* reads"):
        report_of(tmp_path / name)


@needs_data
@pytest.mark.parametrize(
    ("name", "kind", "weights"),
    [
        ("mobilenet_v2_1.0_224_quant", "fully integer", {"per tensor": 53}),
        ("mlperf_tiny_pretrainedResnet_quant", "fully integer", {"per channel": 9, "per tensor": 1}),
        ("mlperf_tiny_pretrainedResnet", "float", {}),
        ("mobilenet_v1_0.25_128_quant_edgetpu", "compiled", {}),
    ],
)
def test_published_models_are_what_they_are(name: str, kind: str, weights: dict[str, int]) -> None:
    report = report_of(DATA / "models" / f"{name}.tflite")
    assert (report.kind, report.weights) == (kind, weights)
