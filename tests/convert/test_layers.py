"""Every layer that ``quantize`` knows, where engines meet it: integers throughout, and the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from linnet_convert.proof.parity import artifact_logits
from linnet_convert.readers.tflite_graph import Graph, read_graph
from linnet_convert.writers.onnx import to_onnx
from linnet_convert.writers.openvino import to_openvino
from linnet_convert.writers.tflite import to_tflite
from linnet_train.quantization import calibrate, quantize
from networks import random_weights

HEIGHT, WIDTH = 9, 12
# An average is rounded by some engines and not by others, and the layers behind it make more of a step than one.
MOST_STEPS = 6.5
Body = Callable[[Any], Any]


def conv(x: Any, filters: int = 6, kernel: int = 1, **settings: Any) -> Any:
    return layers.Conv2D(filters, kernel, padding="same", **settings)(x)


def conv_bn(x: Any) -> Any:
    return layers.BatchNormalization()(conv(x, use_bias=False))


def squeeze_excite(x: Any) -> Any:
    x = layers.ReLU()(conv_bn(x))
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = conv(conv(y, 4, activation="relu"), activation="hard_sigmoid")
    return layers.Multiply()([x, y])


def pre_activation(x: Any) -> Any:
    """A block of ResNet-v2: the normalization and the ReLU stand before the convolution; the sum has two readers."""
    x = conv(x)
    y = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Add()([x, conv(y, kernel=3)])
    return layers.ReLU()(layers.BatchNormalization()(x))


def dense_block(x: Any) -> Any:
    """A block of DenseNet: what was put together is put together again."""
    for _ in range(2):
        y = conv(layers.ReLU()(layers.BatchNormalization()(x)), 3, 3)
        x = layers.Concatenate()([x, y])
    return x


def inception(x: Any) -> Any:
    x = layers.ReLU()(conv_bn(x))
    pooled = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    return layers.Concatenate()(
        [layers.ReLU()(conv_bn(x)), conv(x, 4, 3), pooled, conv(layers.MaxPooling2D(3, 1, "same")(x), 2)]
    )


def a_sum_read_by_a_relu_and_a_sum(x: Any) -> Any:
    x = layers.Add()([conv(x), conv(x, kernel=3)])
    return layers.Add()([x, layers.ReLU()(x)])


def shared(x: Any) -> Any:
    layer, norm, relu = layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()
    for _ in range(2):
        x = relu(norm(layer(x)))
    return x


def nested(x: Any) -> Any:
    inputs = keras.Input(x.shape[1:])
    inner = keras.Sequential([keras.Input(x.shape[1:]), layers.Conv2D(3, 1), layers.BatchNormalization(name="norm")])
    backbone = keras.Model(inputs, layers.ReLU(name="norm")(inner(layers.DepthwiseConv2D(3, padding="same")(inputs))))
    return backbone(backbone(x), training=False)


def head(*tail: Any) -> Body:
    """Of features [N, C]."""

    def body(x: Any) -> Any:
        x = layers.GlobalAveragePooling2D()(conv(x, 8, 3))
        for layer in tail:
            x = layer(x)
        return x

    return body


BODIES: dict[str, Body] = {
    "relu of the layer's own": lambda x: conv(x, kernel=3, activation="relu"),
    "relu6 of the layer's own": lambda x: layers.BatchNormalization()(conv(x, activation="relu6")),
    "hard swish": lambda x: layers.Activation("hard_swish")(conv_bn(x)),
    "hard swish of the layer's own": lambda x: conv(x, activation="hard_silu"),
    "hard sigmoid": lambda x: layers.Activation("hard_sigmoid")(conv_bn(x)),
    "hard sigmoid of what was stored": lambda x: layers.Activation("hard_sigmoid")(layers.MaxPooling2D(2)(conv(x))),
    "sigmoid": lambda x: layers.Activation("sigmoid")(conv(x)),
    "softmax over the channels": lambda x: layers.Softmax()(conv(x)),
    "linear": lambda x: layers.Activation("linear")(conv(x)),
    "relu behind a pooling": lambda x: layers.ReLU()(layers.MaxPooling2D(2)(conv(x))),
    "relu behind an average": lambda x: layers.ReLU(1.5)(layers.AveragePooling2D(2)(conv(x))),
    "relu of the pixels": lambda x: conv(layers.ReLU()(x)),
    "a sum read by a relu and a sum": a_sum_read_by_a_relu_and_a_sum,
    "squeeze and excite": squeeze_excite,
    "a product": lambda x: layers.Multiply()([conv(x), layers.Activation("sigmoid")(conv(x))]),
    "a clamped product": lambda x: layers.ReLU()(layers.Multiply()([conv(x), conv(x, kernel=3)])),
    "pre-activation": pre_activation,
    "normalized pixels": lambda x: conv(layers.BatchNormalization()(x), kernel=3),
    "dense block": dense_block,
    "inception": inception,
    "concatenated pixels": lambda x: conv(layers.Concatenate()([x, conv(x)])),
    "concatenated with itself": lambda x: layers.Concatenate()([y := conv(x), y]),
    "separable": lambda x: layers.SeparableConv2D(
        5, 3, strides=2, padding="same", depth_multiplier=2, activation="relu"
    )(x),
    "groups": lambda x: conv(conv(x), 8, 3, groups=2),
    "max pooling, same": lambda x: layers.MaxPooling2D(3, strides=2, padding="same")(conv(x)),
    "average pooling, same": lambda x: layers.AveragePooling2D((2, 3), strides=2, padding="same")(conv(x)),
    "padded pooling behind a relu": lambda x: layers.MaxPooling2D(3, strides=2)(
        layers.ZeroPadding2D(1)(conv(x, activation="relu"))
    ),
    "padded pooling": lambda x: layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(conv(x))),
    "padded twice": lambda x: conv(layers.ZeroPadding2D(1)(layers.ZeroPadding2D(((0, 1), (1, 0)))(conv(x))), kernel=3),
    "cropped": lambda x: layers.Cropping2D(((0, 1), (2, 1)))(conv(x)),
    "global maximum": lambda x: layers.GlobalMaxPooling2D()(conv(x)),
    "global maximum, kept axes": lambda x: conv(layers.GlobalMaxPooling2D(keepdims=True)(conv(x))),
    "flattened": lambda x: layers.Dense(5, activation="relu")(layers.Flatten()(conv(x))),
    "flattened rows": lambda x: layers.Dense(5)(layers.Reshape((-1,))(conv(x))),
    "flattened and summed": lambda x: layers.Add()([layers.Flatten()(conv(x)), layers.Flatten()(conv(x))]),
    "turned into another picture": lambda x: conv(layers.Reshape((WIDTH, HEIGHT, 6))(conv(x)), kernel=3),
    "dense on a picture": lambda x: layers.Dense(5, activation="relu")(conv(x)),
    "dense, normalized": head(
        layers.Dense(7, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)
    ),
    "dense, relu, normalized": head(layers.Dense(7, activation="relu"), layers.BatchNormalization()),
    "dense, hard sigmoid": head(layers.Dense(7, activation="hard_sigmoid")),
    "dense, hard swish": head(layers.Dense(7), layers.Activation("hard_swish")),
    "dropout": head(layers.Dropout(0.5), layers.ReLU()),
    "concatenated features": lambda x: layers.Concatenate()(
        [y := head()(x), layers.Dense(4)(y), layers.Dense(5, activation="sigmoid")(y)]
    ),
    "shared layers": shared,
    "nested models": nested,
}


def network(body: Body) -> keras.Model:
    """A body and behind it a layer with a weight for each place, so that each counts."""
    pixels = keras.Input((HEIGHT, WIDTH, 3), dtype="uint8")
    x = body(layers.Rescaling(1 / 128, -1.0)(pixels))
    if len(x.shape) == 4:
        x = layers.Flatten()(x)
    return keras.Model(pixels, layers.Dense(4)(x))


@pytest.fixture(scope="module")
def photos() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (32, HEIGHT, WIDTH, 3), np.uint8)


def parameters(graph: Graph) -> list[object]:
    found = ((tensor.dtype, tensor.quantization) for tensor in graph.tensors)
    return [(dtype, q and (q.scale.tolist(), q.zero_point.tolist())) for dtype, q in found]


@pytest.mark.parametrize("name", BODIES)
def test_a_layer_is_integers_in_every_format(name: str, photos: NDArray[np.uint8], tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    model = network(BODIES[name])
    random_weights(model, photos, 5)
    quantized = quantize(model)
    calibrate(quantized, photos)
    tflite = to_tflite(quantized, "int8", photos, tmp_path)
    graph = read_graph(tmp_path / tflite.path)
    assert {str(tensor.dtype) for tensor in graph.tensors} <= {"int8", "uint8", "int32"}
    assert "DEQUANTIZE" not in {operator.name for operator in graph.operators}
    (tmp_path / "dark").mkdir()
    dark = to_tflite(quantized, "int8", photos // 64, tmp_path / "dark")
    assert parameters(read_graph(tmp_path / "dark" / dark.path)) == parameters(graph)

    onnx = to_onnx(tmp_path / tflite.path, "int8", tmp_path)
    openvino = to_openvino(tmp_path / onnx.path, tmp_path / tflite.path, "int8", tmp_path)
    keras_logits = np.asarray(quantized(photos, training=False))
    assert tflite.output.scale is not None
    for artifact in (tflite, onnx, openvino):
        off = np.abs(artifact_logits(artifact, tmp_path, photos) - keras_logits).max() / tflite.output.scale
        assert off < MOST_STEPS, artifact.path
