"""Models made elsewhere, of every kind, small: what comes in, what it becomes, and that it computes the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from foreign import CLASSES, MEAN, NORMALIZED, SIDE, STD, Network, branched, mobile, residual, squeezed
from linnet_convert.errors import ConversionError
from linnet_convert.onnx_to_keras.network import onnx_to_keras
from linnet_runtime.bundle import Bundle, open_bundle
from program import Program, one_line_error

ALL = ["model.int8.tflite", "model.fp32.tflite", "model.int8.onnx", "model.fp32.onnx", "int8.xml", "fp16.xml"]
NOISE = np.random.default_rng(1).normal(0, 1, (4, SIDE, SIDE, 3)).astype(np.float32)


def names(bundle: Bundle) -> list[str]:
    return [Path(artifact.path).name for artifact in bundle.artifacts]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that know three classes, and their labels."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "labels.txt").write_text("blue\ngreen\nred\n\n")
    network, scores = mobile()
    onnx.save(network.model(scores), folder / "mobile.onnx")
    onnx.save(network.model(scores, batch="N", side="S"), folder / "open.onnx")
    openvino.save_model(openvino.convert_model(folder / "mobile.onnx"), folder / "mobile.xml")
    quantize_static(folder / "mobile.onnx", folder / "qdq.onnx", _Noise(), quant_format=QuantFormat.QDQ)
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIDE, SIDE, 3))
    plain = keras.Model(pixels, _network(pixels))
    plain.save(folder / "plain.keras")
    plain.export(folder / "saved", verbose=False)
    nested = keras.Sequential([pixels, layers.Rescaling(1 / 127.5, -1), plain])
    nested.save(folder / "rescaled.keras")
    turned = tf.function(
        lambda x: plain(tf.transpose(x, (0, 2, 3, 1))), input_signature=[tf.TensorSpec((1, 3, SIDE, SIDE))]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([turned.get_concrete_function()], plain)
    converter.experimental_lower_to_saved_model = False
    (folder / "nchw.tflite").write_bytes(converter.convert())
    return folder


class _Noise(CalibrationDataReader):
    def __init__(self) -> None:
        self._photos: Iterator[NDArray[np.float32]] = iter(NOISE)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        photo = next(self._photos, None)
        return None if photo is None else {"input": photo.transpose(2, 0, 1)[None]}


def _network(x: Any) -> Any:
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.DepthwiseConv2D(3, padding="same")(x)))
    return layers.Dense(CLASSES, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(0, 3.0))(x)


@pytest.mark.parametrize("build", [mobile, residual, squeezed, branched])
def test_an_onnx_network_is_the_same_in_keras(build: Callable[[], tuple[Network, str]]) -> None:
    network, scores = build()
    model = network.model(scores)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"input": x.transpose(2, 0, 1)[None]})[0] for x in NOISE])
    assert expected.std() > 0.01
    np.testing.assert_allclose(onnx_to_keras(model, "NCHW")(NOISE, training=False), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "attributes", "says"),
    [
        ("LeakyRelu", {}, "operator LeakyRelu: got no translation to Keras, expected one of Add, AveragePool"),
        ("HardSigmoid", {"alpha": 0.3}, "got alpha 0.3, beta 0.5, expected 1/6 and 0.5"),
        ("MaxPool", {"kernel_shape": [3, 3], "pads": [1] * 4}, "got a maximum over padding and negative values"),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4}, "got an average without its padding"),
    ],
)
def test_what_keras_has_not_is_named(operator: str, attributes: dict[str, Any], says: str) -> None:
    network = Network()
    x = network.node(operator, network.conv("input", 4), **attributes)
    model = network.model(network.dense(network.node("Flatten", network.node("GlobalAveragePool", x)), 4))
    with pytest.raises(ConversionError) as error:
        onnx_to_keras(model, "NCHW")
    assert says in str(error.value)


def test_a_float_onnx_with_mean_and_std_becomes_every_format(
    models: Path, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    """In BGR and with a normalization for each channel: the artifacts that Linnet makes take the pixels themselves."""
    photos = ("--data", easy_photos, "--calibrate", easy_photos)
    says = ("--labels", models / "labels.txt", "--color", "bgr", *NORMALIZED)
    program("convert", models / "mobile.onnx", "--out", tmp_path / "x.linnet", *says, *photos)
    bundle = open_bundle(tmp_path / "x.linnet")
    assert names(bundle) == ALL
    assert bundle.labels == ("blue", "green", "red")
    for artifact in bundle.artifacts:
        assert artifact.parity is not None
        assert artifact.parity.agreement >= 0.95
        made_here = Path(artifact.path).name not in ("model.fp32.onnx", "fp16.xml")
        assert artifact.input.color == "bgr"
        assert (artifact.input.mean, artifact.input.std) == ((None, None) if made_here else (MEAN, STD))
        assert (artifact.input.layout, artifact.input.dtype) == (
            ("NHWC", "uint8") if made_here else ("NCHW", "float32")
        )
        if artifact.format == "onnx":
            props = {entry.key: entry.value for entry in onnx.load(artifact.path).metadata_props}
            said = {key: props.get(f"model_info {key}") for key in ("labels", "reverse_input_channels")}
            expected = ("blue green red", "False") if made_here else (None, None)
            assert tuple(said.values()) == expected, "a copy stays as it was, and what is made here is described"


@pytest.mark.parametrize(
    ("source", "flags", "artifacts"),
    [
        ("mobile.xml", NORMALIZED, ["fp16.xml"]),
        ("qdq.onnx", NORMALIZED, ["model.int8.onnx", "int8.xml"]),
        ("open.onnx", (*NORMALIZED, "--size", 32, "--formats", "onnx,openvino"), ["model.fp32.onnx", "fp16.xml"]),
        ("nchw.tflite", NORMALIZED, ["model.fp32.tflite", "model.fp32.onnx", "fp16.xml"]),
        ("rescaled.keras", ("--formats", "tflite"), ["model.fp32.tflite"]),
        ("saved", (*NORMALIZED, "--calibrate", "PHOTOS"), ALL),
    ],
)
def test_every_kind_of_model_comes_in(
    source: str,
    flags: tuple[str, ...],
    artifacts: list[str],
    models: Path,
    easy_photos: Path,
    tmp_path: Path,
    program: Program,
) -> None:
    """Without --data they are compared on noise, on which nothing is said of accuracy."""
    flags = tuple(easy_photos if flag == "PHOTOS" else flag for flag in flags)
    says = ("--labels", models / "labels.txt", "--color", "rgb", *flags)
    program("convert", models / source, "--out", tmp_path / "x.linnet", *says)
    bundle = open_bundle(tmp_path / "x.linnet")
    assert names(bundle) == artifacts
    for artifact in bundle.artifacts:
        assert None not in artifact.input.shape
        assert artifact.parity is not None
        assert artifact.parity.accuracy is None
    assert [path.name for path in tmp_path.iterdir()] == ["x.linnet"]


def test_a_keras_file_becomes_integers_with_calibration_photos(
    models: Path, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    says = ("--labels", models / "labels.txt", "--color", "rgb", "--mean", "127.5", "--std", "127.5")
    photos = ("--calibrate", easy_photos, "--data", easy_photos)
    out = tmp_path / "x.linnet"
    program("convert", models / "plain.keras", "--out", out, *says, *photos, "--formats", "tflite")
    bundle = open_bundle(out)
    assert names(bundle) == ALL[:2]
    assert bundle.artifacts[0].input.dtype == "uint8"
    assert bundle.artifacts[0].output.values == "probabilities"
    assert bundle.artifacts[0].parity is not None
    assert bundle.artifacts[0].parity.reference == "keras int8"


def test_a_saved_model_calibrated_on_dark_photos_clips_bright_ones_and_the_report_says_so(
    models: Path, easy_photos: Path, tmp_path: Path, program: Program
) -> None:
    for photo in easy_photos.rglob("*.jpg"):
        dark = tmp_path / "dark" / photo.relative_to(easy_photos)
        dark.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(dark), cv2.imread(str(photo)) // 8 + 100)
    says = ("--labels", models / "labels.txt", "--color", "rgb", *NORMALIZED, "--formats", "tflite")
    photos = ("--calibrate", tmp_path / "dark", "--data", easy_photos)
    program("convert", models / "saved", "--out", tmp_path / "x.linnet", *says, *photos)
    coverage = json.loads((tmp_path / "x.linnet" / "report" / "calibration.json").read_bytes())["coverage"]
    assert len(coverage) >= 4
    assert max(row["outside"] for row in coverage) > 0.1
    assert all(0 <= row["used"] <= 1 and row["low"] < row["high"] for row in coverage)


@pytest.mark.parametrize("path", ["model.int8.tflite", "model.int8.onnx", "openvino/int8.xml"])
def test_linnets_own_file_says_all_itself(path: str, bundle_folder: Path, tmp_path: Path, program: Program) -> None:
    """But for the spaces in labels, which ``model_info`` has no way to write."""
    original = open_bundle(bundle_folder)
    (own,) = (artifact for artifact in original.artifacts if artifact.path.endswith(path))
    program("convert", bundle_folder / path, "--out", tmp_path / "x.linnet", "--formats", own.format)
    again = open_bundle(tmp_path / "x.linnet")
    is_tflite = own.format == "tflite"
    assert again.labels == tuple(label if is_tflite else label.replace(" ", "_") for label in original.labels)
    assert again.preprocess == original.preprocess
    (copy,) = again.artifacts
    for field in ("shape", "dtype", "layout", "color", "mean", "std"):
        assert getattr(copy.input, field) == getattr(own.input, field), "the pixels, as they are"
    if own.format != "onnx":  # that is written anew, with its sides fixed
        assert copy.sha256 == own.sha256


REFUSED = {
    "nothing is said": ("mobile.onnx", (), "Fix: --labels FILE --mean R,G,B --std R,G,B --color rgb|bgr"),
    "nor the size": ("open.onnx", (), "Fix: --labels FILE --size PIXELS --mean R,G,B --std R,G,B --color rgb|bgr"),
    "a layout that it has not": ("mobile.onnx", ("--layout", "NHWC"), "got layout NHWC, expected NCHW, from its"),
    "a size that it has not": ("mobile.onnx", ("--size", 64), "got size 64, expected none: it is 32x32 pixels"),
    "half a normalization": ("mobile.onnx", ("--mean", "0"), "mean and std: got one of them, expected both"),
    "a normalization by nothing": (
        "mobile.onnx",
        ("--mean", "0", "--std", "0"),
        "--std: got (0.0, 0.0, 0.0), expected",
    ),
    "two numbers": ("mobile.onnx", ("--mean", "0,1"), "'--mean': got '0,1', expected one number or 3 with commas"),
    "an IR to .tflite": ("mobile.xml", ("--formats", "tflite"), "got tflite, expected some of openvino: it cannot"),
    "QDQ to .tflite": ("qdq.onnx", ("--formats", "tflite,onnx"), "got tflite, expected some of onnx,openvino: it"),
    "int8 to int8": ("qdq.onnx", ("--calibrate", "."), "got a model that is int8 already, expected a float model"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_line(case: str, models: Path, tmp_path: Path, program: Program) -> None:
    source, flags, says = REFUSED[case]
    if source == "mobile.xml" or source == "qdq.onnx":
        flags = (*flags, "--labels", models / "labels.txt", "--color", "rgb", *NORMALIZED)
    status = 2 if case == "two numbers" else 1
    done = program("convert", models / source, "--out", tmp_path / "x.linnet", *flags, status=status)
    assert says in one_line_error(done)
    assert not list(tmp_path.iterdir())


def test_a_run_takes_no_flags_of_model_files(tiny_run: Path, tmp_path: Path, program: Program) -> None:
    done = program("convert", tiny_run, "--out", tmp_path / "x.linnet", "--color", "bgr", status=1)
    said = "got color, expected none: a run states them itself"
    assert one_line_error(done) == f"{tiny_run} is a run: {said}"
