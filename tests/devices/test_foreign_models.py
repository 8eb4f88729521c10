"""Models that Linnet did not make: their entry says what they want, and the same pictures do for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper

from linnet_devices import DeviceError, Model, OpenOptions, load_device
from linnet_devices.api import Logits, Pixels
from linnet_runtime.preprocess import PICTURE_SUFFIXES, Preprocess, preprocess, read_picture
from program import DATA, needs_data

HEIGHT, WIDTH = 6, 10
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
PICTURES = np.random.RandomState(0).randint(0, 256, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)


def entry(path: Path, kind: str, input_spec: dict[str, Any], output_spec: dict[str, Any]) -> Model:
    """A model with the input and the output that a person says it has."""
    return msgspec.convert(
        {
            "path": str(path),
            "format": kind,
            "precision": "float32" if input_spec["dtype"] == "float32" else "int8",
            "input": {"name": "input"} | input_spec,
            "output": {"name": "output", "layout": "NC"} | output_spec,
        },
        Model,
    )


def run(device: str, model: Model, pixels: Pixels) -> Logits:
    with load_device(device).open(model, OpenOptions()) as session:
        return session.run(pixels)


@pytest.fixture(scope="module")
def channel_means(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A PyTorch-like model, float32 NCHW: the mean of each channel of its input, and a softmax of them."""
    folder = tmp_path_factory.mktemp("channel-means")
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["output"], axis=1),
    ]
    shapes = [("input", (1, 3, HEIGHT, WIDTH)), ("output", (1, 3))]
    given, wanted = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes)
    graph = helper.make_graph(nodes, "means", [given], [wanted])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "means.onnx")
    openvino.save_model(openvino.convert_model(folder / "means.onnx"), folder / "means.xml", compress_to_fp16=False)
    return {"cpu:onnx": folder / "means.onnx", "cpu:openvino": folder / "means.xml"}


@pytest.mark.parametrize("device", ["cpu:onnx", "cpu:openvino"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_a_float_nchw_model_with_mean_and_std(device: str, color: str, channel_means: dict[str, Path]) -> None:
    """Its probabilities come back as logits, up to the constant that a softmax does not see."""
    model = entry(
        channel_means[device],
        device.removeprefix("cpu:"),
        {
            "shape": (1, 3, HEIGHT, WIDTH),
            "dtype": "float32",
            "layout": "NCHW",
            "color": color,
            "mean": MEAN,
            "std": STD,
        },
        {"shape": (1, 3), "dtype": "float32", "values": "probabilities"},
    )
    pictures = PICTURES if color == "rgb" else PICTURES[..., ::-1]
    means = ((pictures - np.array(MEAN)) / np.array(STD)).mean(axis=(1, 2))
    expected = means - np.log(np.exp(means).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(run(device, model, PICTURES), expected, atol=1e-5)


# The models of data/README.md


def mobilenet(name: str, size: int, **changes: Any) -> Model:
    """Coral's MobileNets: uint8, 1001 classes of ImageNet with "background" first, a softmax at the end."""
    pixels = {
        "shape": (1, size, size, 3),
        "dtype": "uint8",
        "layout": "NHWC",
        "mean": (128.0,) * 3,
        "std": (128.0,) * 3,
        "scale": 1 / 128,
        "zero_point": 128,
    }
    output = {"shape": (1, 1001), "dtype": "uint8", "scale": 1 / 256, "zero_point": 0, "values": "probabilities"}
    return entry(DATA / "models" / f"{name}.tflite", "tflite", pixels | changes, output)


def imagenet_pictures(size: int) -> tuple[Pixels, np.ndarray]:
    """The hundred photos, and the index of each one's class in the models' 1001."""
    labels = (DATA / "models" / "imagenet_labels.txt").read_text().splitlines()
    index = {label.split(",")[0].lower(): i for i, label in enumerate(labels)}
    paths = sorted(path for path in (DATA / "imagenet_100").iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    classes = [index[path.stem.partition("_")[2].replace("_", " ").lower()] for path in paths]
    spec = Preprocess(height=size, width=size)
    return np.stack([preprocess(read_picture(path), spec, color="bgr") for path in paths]), np.array(classes)


@needs_data
@pytest.mark.parametrize(
    ("name", "size", "top1", "top5"),
    [
        ("mobilenet_v1_0.25_128_quant", 128, 40, 65),  # of 100; measured 49 and 73, and 26 and 45 in BGR
        ("mobilenet_v2_1.0_224_quant", 224, 80, 95),  # measured 87 and 99
    ],
)
def test_a_published_classifier_names_real_photos(name: str, size: int, top1: int, top5: int) -> None:
    pixels, classes = imagenet_pictures(size)
    logits = run("cpu:litert", mobilenet(name, size), pixels)
    best = np.argsort(-logits, axis=1)[:, :5]
    assert (best[:, 0] == classes).sum() >= top1
    assert (best == classes[:, None]).any(axis=1).sum() >= top5


@needs_data
def test_the_entry_of_a_published_classifier_matters() -> None:
    """Said to want BGR, the same model names far fewer photos: the test above would notice."""
    pixels, classes = imagenet_pictures(128)
    logits = run("cpu:litert", mobilenet("mobilenet_v1_0.25_128_quant", 128, color="bgr"), pixels)
    assert (logits.argmax(axis=1) == classes).sum() < 35


@needs_data
def test_the_int8_form_of_a_published_model_says_what_its_float_form_says() -> None:
    """MLPerf Tiny's ResNet-8 takes pixels 0..255 in float, and the same less 128 in int8."""
    shape, ends = {"shape": (1, 32, 32, 3), "layout": "NHWC"}, {"shape": (1, 10), "values": "probabilities"}
    models = DATA / "models"
    in_float = entry(
        models / "mlperf_tiny_pretrainedResnet.tflite",
        "tflite",
        shape | {"dtype": "float32"},
        ends | {"dtype": "float32"},
    )
    in_int8 = entry(
        models / "mlperf_tiny_pretrainedResnet_quant.tflite",
        "tflite",
        shape | {"dtype": "int8", "scale": 1.0, "zero_point": -128},
        ends | {"dtype": "int8", "scale": 1 / 256, "zero_point": -128},
    )
    pixels, _ = imagenet_pictures(32)
    agreement = (run("cpu:litert", in_float, pixels).argmax(1) == run("cpu:litert", in_int8, pixels).argmax(1)).mean()
    assert agreement >= 0.85


@needs_data
def test_a_model_compiled_for_an_edge_tpu_is_refused_by_the_cpu_in_one_line() -> None:
    model = mobilenet("mobilenet_v1_0.25_128_quant_edgetpu", 128)
    with pytest.raises(DeviceError, match="edgetpu-custom-op") as error:
        load_device("cpu:litert").open(model, OpenOptions())
    assert "\n" not in str(error.value)
