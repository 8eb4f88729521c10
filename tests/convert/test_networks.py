"""The registry's networks in every format: integers throughout, the model's own ranges, and what Keras computes.

An untrained network is held to what every processor computes alike: its operators, its parameters, each layer within
its tolerance, and logits that differ by roundings. Its labels hang on single roundings, which differ by processor;
labels are asked only of networks that have learnt something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from numpy.typing import NDArray

from linnet_convert.proof.layerwise import compare_layers, first_to_leave
from linnet_convert.proof.parity import artifact_logits, keras_logits
from linnet_convert.readers.tflite_graph import Graph, read_graph
from linnet_convert.writers.onnx import to_onnx
from linnet_convert.writers.openvino import to_openvino
from linnet_convert.writers.tflite import to_tflite
from linnet_runtime.photos.listing import decode_photos, list_photos
from linnet_runtime.preprocess import Preprocess
from linnet_train.models import NETWORKS, build_model
from linnet_train.quantization import calibrate, quantize
from networks import CLASSES as COLORS
from networks import batch_statistics, random_weights
from program import DATA, needs_data

# One of each family in the ordinary run; the others with pytest -m large.
ORDINARY = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small_minimalistic",
    "mobilenet_v4_conv_small",
    "efficientnet_lite0",
    "resnet8",
)
BASELINES = ("resnet18", "resnet50", "lenet5", "alexnet", "vgg16", "cifar_cnn")
NETWORKS_HELD = [name for name in NETWORKS if name not in (*BASELINES, "tiny")]
NAMES = [name if name in ORDINARY else pytest.param(name, marks=pytest.mark.large) for name in NETWORKS_HELD]
# A convolution of each kind, with and without a residual addition; each takes half a minute to learn and to convert.
ORDINARY_LEARNT = ("mobilenet_v4_conv_small", "resnet8")
LEARNT = [name if name in ORDINARY_LEARNT else pytest.param(name, marks=pytest.mark.large) for name in NETWORKS_HELD]
SIZE, CLASSES = 64, 10
TESTED, CALIBRATED = 100, 64
# How far roundings may move the logits, in what a photo moves them by. They move them by 0.01 to 0.06; a layer that
# computes something else, by 1.
MOST_MOVED = 0.25
LEAST_AGREEMENT = 0.97
# Batch normalizations that put most values above zero: without training, ReLUs about zero make a chaos of a deep
# network, in which roundings grow from layer to layer.
SHIFT = 2.0
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.fixture(scope="module")
def photos() -> NDArray[np.uint8]:
    """Real ones, uint8 [N, SIZE, SIZE, 3], of all classes."""
    files = list_photos(DATA / "photos" / "trash")
    chosen = [files[i] for i in np.random.default_rng(0).permutation(len(files))[: TESTED + CALIBRATED]]

    def refuse(_: Any, error: Exception) -> None:
        raise error

    spec = Preprocess(height=SIZE, width=SIZE)
    return np.stack([pixels for _, pixels in decode_photos(chosen, spec, refuse)])


def untrained(name: str, photos: NDArray[np.uint8]) -> keras.Model:
    """The network, quantized, its batch statistics and its ranges those of the photos."""
    keras.utils.set_random_seed(5)
    model = build_model(name, classes=CLASSES, size=SIZE)
    random_weights(model, photos, 5, shift=SHIFT)
    quantized = quantize(model)
    calibrate(quantized, photos)
    return quantized


def colored(per_class: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Photos that are learnt in seconds, uint8 [N, SIZE, SIZE, 3], and their labels: noise of three colors."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(COLORS)), per_class)
    means = np.array(list(COLORS.values()))[labels][:, None, None] + rng.normal(0, 30, (len(labels), 1, 1, 3))
    photos = means + rng.normal(0, 40, (len(labels), SIZE, SIZE, 3))
    return np.clip(photos, 0, 255).astype(np.uint8), labels


def learnt(name: str) -> keras.Model:
    """The network, trained on colored photos and quantized."""
    keras.utils.set_random_seed(5)
    photos, labels = colored(64, seed=0)
    model = build_model(name, classes=len(COLORS), size=SIZE)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, jit_compile=False)
    model.fit(photos, labels, batch_size=24, epochs=5, verbose=0)
    batch_statistics(model, photos)
    quantized = quantize(model)
    calibrate(quantized, photos)
    return quantized


def parameters(graph: Graph) -> list[object]:
    found = ((tensor.dtype, tensor.quantization) for tensor in graph.tensors)
    return [(dtype, q and (q.scale.tolist(), q.zero_point.tolist())) for dtype, q in found]


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_an_untrained_network_is_integers_that_differ_from_keras_by_roundings(
    name: str, photos: NDArray[np.uint8], tmp_path: Path
) -> None:
    tested, calibrated = np.split(photos, [TESTED])
    model = untrained(name, calibrated)
    tflite = to_tflite(model, "int8", calibrated, tmp_path)
    graph = read_graph(tmp_path / tflite.path)
    operators = [operator.name for operator in graph.operators]
    assert {str(tensor.dtype) for tensor in graph.tensors} <= {"int8", "uint8", "int32"}
    assert "DEQUANTIZE" not in operators
    (tmp_path / "dark").mkdir()
    dark = to_tflite(model, "int8", calibrated // 64, tmp_path / "dark")
    assert parameters(read_graph(tmp_path / "dark" / dark.path)) == parameters(graph), "a range that no layer has"

    assert first_to_leave(compare_layers(model, tmp_path / tflite.path, tested)) is None

    onnx_path = tmp_path / to_onnx(tmp_path / tflite.path, "int8", tmp_path).path
    to_openvino(onnx_path, tmp_path / tflite.path, "int8", tmp_path)
    convolutions = sum(name in CONVOLUTIONS for name in operators)
    run_by_onnx_runtime = optimized(onnx_path, tmp_path)
    assert run_by_onnx_runtime.count("QLinearConv") == convolutions
    assert run_by_onnx_runtime.count("QLinearAdd") == operators.count("ADD")
    assert not {"Conv", "FusedConv", "Add", "Mul", "Gemm", "MatMul"} & set(run_by_onnx_runtime)
    assert run_by_onnx_runtime.count("Transpose") <= 1, "of the pixels"
    run_by_openvino = convolution_precisions(tmp_path / "openvino" / "int8.xml")
    assert len(run_by_openvino) == convolutions
    assert set(run_by_openvino) <= {"u8", "i8"}

    expected, step = keras_logits(model, tested), tflite.output.scale
    assert step is not None
    moved_by_photos = expected.std(axis=0).mean()
    assert moved_by_photos > 2 * step, "the photo matters"
    moved_by_roundings = np.abs(artifact_logits(tflite, tmp_path, tested) - expected).mean()
    assert moved_by_roundings < MOST_MOVED * moved_by_photos


@pytest.mark.parametrize("name", LEARNT)
def test_a_network_that_has_learnt_gives_keras_labels_in_every_format(name: str, tmp_path: Path) -> None:
    model = learnt(name)
    photos, labels = colored(64, seed=1)
    expected = keras_logits(model, photos).argmax(axis=1)
    assert (expected == labels).mean() > 0.8, "it has learnt"
    tflite = to_tflite(model, "int8", photos, tmp_path)
    onnx_int8 = to_onnx(tmp_path / tflite.path, "int8", tmp_path)
    ir = to_openvino(tmp_path / onnx_int8.path, tmp_path / tflite.path, "int8", tmp_path)
    for artifact in (tflite, onnx_int8, ir):
        agreement = (artifact_logits(artifact, tmp_path, photos).argmax(axis=1) == expected).mean()
        assert agreement >= LEAST_AGREEMENT, artifact.path


def optimized(path: Path, folder: Path) -> list[str]:
    """The operators of the graph that ONNX Runtime makes of a model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3  # it warns that the file is for this machine alone
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node]


def convolution_precisions(path: Path) -> list[str]:
    """What OpenVINO computes each convolution in, by its runtime model."""
    compiled = openvino.Core().compile_model(path, "CPU")
    executed = [dict(operation.get_rt_info().items()) for operation in compiled.get_runtime_model().get_ops()]
    layers = [(info["layerType"].astype(str), info["runtimePrecision"].astype(str)) for info in executed]
    return [precision for kind, precision in layers if kind in ("Convolution", "FullyConnected")]
