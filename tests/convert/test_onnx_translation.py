"""The translation to ONNX, operator by operator: a small network of each kind, in float and in int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError
from linnet_convert.proof.parity import artifact_logits
from linnet_convert.writers.onnx import to_onnx
from linnet_convert.writers.openvino import to_openvino
from linnet_convert.writers.tflite import to_tflite
from linnet_runtime.bundle import Artifact
from linnet_train.quantization import calibrate, quantize
from networks import random_weights

HEIGHT, WIDTH = 11, 14  # neither equal nor both even: an exchange of the two, or of before and after, shows
Body = Callable[[Any], Any]


def norm_relu(x: Any) -> Any:
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


def residual(x: Any) -> Any:
    """Two readers of one tensor, and a sum that is rounded although nothing clamps it."""
    x = norm_relu(layers.Conv2D(5, 3, padding="same", use_bias=False)(x))
    y = layers.BatchNormalization()(layers.Conv2D(5, 1, use_bias=False)(x))
    return layers.Add()([x, y])


def inverted(x: Any) -> Any:
    """MobileNetV2's block with a stride: zeros below and to the right, then no padding."""
    x = norm_relu(layers.Conv2D(6, 1, use_bias=False)(x))
    x = layers.ZeroPadding2D(((0, 1), (1, 2)))(x)
    x = norm_relu(layers.DepthwiseConv2D(3, strides=2, use_bias=False)(x))
    return layers.BatchNormalization()(layers.Conv2D(4, 1, use_bias=False)(x))


BODIES: dict[str, Body] = {
    "same": lambda x: norm_relu(layers.Conv2D(5, 3, padding="same")(x)),
    "same, stride 2": lambda x: layers.ReLU()(layers.Conv2D(5, 3, strides=2, padding="same")(x)),
    "valid, a wide kernel, stride 2 by 1": lambda x: layers.Conv2D(5, (2, 5), strides=1)(x),
    "even kernel, same": lambda x: norm_relu(layers.Conv2D(5, (4, 2), strides=2, padding="same")(x)),
    "an activation of the layer's own": lambda x: layers.Conv2D(5, 3, activation="relu")(x),
    "dilated": lambda x: norm_relu(layers.Conv2D(5, 3, dilation_rate=2, padding="same")(x)),
    "depthwise": lambda x: norm_relu(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)),
    "depthwise, two outputs a channel": lambda x: layers.ReLU()(layers.DepthwiseConv2D(3, 2, depth_multiplier=2)(x)),
    "residual": residual,
    "a sum of a tensor with itself": lambda x: layers.Add()([x := norm_relu(layers.Conv2D(5, 3)(x)), x]),
    "a clamped sum": lambda x: layers.ReLU()(residual(x)),
    "inverted residual": inverted,
    "two dense layers": lambda x: x,
}


def network(body: Body, *, hidden: bool) -> keras.Model:
    """A body whose every place counts: behind it each has a weight of its own, as in an average none would have."""
    pixels = keras.Input((HEIGHT, WIDTH, 3), dtype="uint8")
    x = body(layers.Rescaling(1 / 128, -1.0)(pixels))
    x = layers.Conv2D(6, (x.shape[1] - 1, x.shape[2] - 2))(x)  # 2 by 3 places are left
    x = layers.GlobalAveragePooling2D()(x)
    if hidden:
        x = layers.ReLU()(layers.Dense(7)(x))
    return keras.Model(pixels, layers.Dense(4)(x))


@pytest.fixture(scope="module")
def photos() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (24, HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("name", BODIES)
def test_the_onnx_is_the_tflite(name: str, photos: NDArray[np.uint8], tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    model = network(BODIES[name], hidden=name == "two dense layers")
    random_weights(model, photos, 5)
    quantized = quantize(model)
    calibrate(quantized, photos)

    def logits(artifact: Artifact) -> NDArray[np.float32]:
        return artifact_logits(artifact, tmp_path, photos)

    floats = to_tflite(model, "float32", photos, tmp_path)
    expected = np.asarray(model(photos, training=False))
    assert expected.std() > 0.1, "logits that say something"
    for artifact in (floats, to_onnx(tmp_path / floats.path, "float32", tmp_path)):
        np.testing.assert_allclose(logits(artifact), expected, rtol=1e-5, atol=1e-5, err_msg=artifact.path)

    tflite = to_tflite(quantized, "int8", photos, tmp_path)
    onnx_int8 = to_onnx(tmp_path / tflite.path, "int8", tmp_path)
    openvino = to_openvino(tmp_path / onnx_int8.path, tmp_path / tflite.path, "int8", tmp_path)
    step = tflite.output.scale
    assert step is not None
    of_tflite, of_keras = logits(tflite), np.asarray(quantized(photos, training=False))
    assert np.abs(of_tflite - of_keras).max() <= 2.01 * step
    assert np.abs(logits(onnx_int8) - of_tflite).max() <= 1.01 * step
    assert np.abs(logits(openvino) - of_tflite).max() <= 2.01 * step
    assert len(np.unique(of_tflite)) > 20, "not a constant"


def convert_float(body: Body, tmp_path: Path, photos: NDArray[np.uint8]) -> onnx.ModelProto:
    artifact = to_tflite(network(body, hidden=False), "float32", photos, tmp_path)
    return onnx.load(tmp_path / to_onnx(tmp_path / artifact.path, "float32", tmp_path).path)


def test_pictures_are_turned_to_nchw_once(photos: NDArray[np.uint8], tmp_path: Path) -> None:
    model = convert_float(residual, tmp_path, photos)
    assert [node.op_type for node in model.graph.node].count("Transpose") == 1


@pytest.mark.parametrize(
    ("body", "operator"),
    [(lambda x: layers.LeakyReLU()(x), "LEAKY_RELU"), (lambda x: layers.Activation("exponential")(x), "EXP")],
    ids=["leaky", "exponential"],
)
def test_what_has_no_translation_is_named(body: Body, operator: str, photos: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=f"^operator {operator}: got no translation to ONNX, expected one of "):
        convert_float(body, tmp_path, photos)


def test_a_file_that_is_no_tflite_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"not a flatbuffer")
    with pytest.raises(ConversionError, match=r"model\.tflite: got a file that starts with b'not a fl', expected"):
        to_onnx(tmp_path / "model.tflite", "float32", tmp_path)
