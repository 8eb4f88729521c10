"""Biases in the steps of an int32 accumulator: Keras computes with those that an engine can hold."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from linnet_convert.proof.parity import artifact_logits
from linnet_convert.readers.tflite_graph import Graph, read_graph
from linnet_convert.writers.tflite import to_tflite
from linnet_train.quantization import calibrate, quantize, round_biases

SIZE, CHANNELS = 12, 6
DEAD = 2


@pytest.fixture(scope="module")
def photos() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (24, SIZE, SIZE, 3), np.uint8)


def network(photos: NDArray[np.uint8]) -> keras.Model:
    """A convolution, a depthwise one and a dense layer, each with biases that no step hits."""
    keras.utils.set_random_seed(4)
    rng = np.random.default_rng(4)
    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = layers.Rescaling(1 / 128, -1.0)(pixels)
    x = layers.Conv2D(CHANNELS, 3, use_bias=False, name="conv")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="conv_bn", momentum=0.0)(x))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="depthwise_bn", momentum=0.0)(x))
    x = layers.Dense(5, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pixels, x)
    for name in ("conv_bn", "depthwise_bn"):
        model.get_layer(name).gamma.assign(rng.uniform(-1.4, 1.4, CHANNELS))
        model.get_layer(name).beta.assign(rng.normal(0.5, 0.3, CHANNELS))
    for name in ("depthwise", "logits"):
        bias = model.get_layer(name).bias
        bias.assign(rng.normal(0, 0.3, bias.shape))
    model(photos, training=True)
    return model


def int8_graph(quantized: keras.Model, photos: NDArray[np.uint8], folder: Path) -> Graph:
    return read_graph(folder / to_tflite(quantized, "int8", photos, folder).path)


def biases(graph: Graph) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """The steps and their size, of each layer in order."""
    found = (graph.tensors[operator.inputs[2]] for operator in graph.operators if len(operator.inputs) == 3)
    return [(t.data, t.quantization.scale) for t in found if t.data is not None and t.quantization is not None]


def test_the_engines_biases_are_the_models(photos: NDArray[np.uint8], tmp_path: Path) -> None:
    quantized = quantize(network(photos))
    calibrate(quantized, photos)
    (_, _), (_, _), (steps, scale) = biases(int8_graph(quantized, photos, tmp_path))
    np.testing.assert_allclose(quantized.get_layer("logits").bias, steps * scale, rtol=1e-6)
    for (steps, scale), name in zip(
        biases(read_graph(tmp_path / "model.int8.tflite")), ("conv", "depthwise"), strict=False
    ):
        conv, norm = quantized.get_layer(name), quantized.get_layer(f"{name}_bn")
        factor = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
        bias = np.asarray(conv.bias) if conv.use_bias else 0.0
        added = np.asarray(norm.beta) + (bias - np.asarray(norm.moving_mean)) * factor
        assert np.abs(added / scale - steps).max() < 0.1, "in steps; unrounded ones are up to half a step off"


def test_rounding_again_changes_nothing(photos: NDArray[np.uint8]) -> None:
    quantized = quantize(network(photos))
    calibrate(quantized, photos)
    before = quantized.get_weights()
    round_biases(quantized)
    for now, then in zip(quantized.get_weights(), before, strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-6, atol=1e-7)


def test_biases_move_by_half_a_step_at_most(photos: NDArray[np.uint8], tmp_path: Path) -> None:
    model = network(photos)
    quantized = quantize(model)
    calibrate(quantized, photos)
    (_, _), (_, scale), _ = biases(int8_graph(quantized, photos, tmp_path))
    moved = np.asarray(quantized.get_layer("depthwise_bn").beta) - np.asarray(model.get_layer("depthwise_bn").beta)
    assert 0 < np.abs(moved / scale).max() < 0.501


@pytest.mark.parametrize("weights", [0.0, 1e-9, 1e-6], ids=["none", "nearly none", "few"])
@pytest.mark.parametrize("gamma", [1.0, 1e-4, 0.0])
def test_the_bias_of_a_dead_channel_fits_into_int32(
    weights: float, gamma: float, photos: NDArray[np.uint8], tmp_path: Path
) -> None:
    """As training leaves some: the weights have gone, no photo moves the channel, but what it adds is read."""
    model = network(photos)
    for name in ("conv", "depthwise"):
        layer, norm = model.get_layer(name), model.get_layer(f"{name}_bn")
        kernel, *bias = layer.get_weights()
        by_channel = kernel.reshape(-1, CHANNELS)
        by_channel[:, DEAD] *= weights
        layer.set_weights([kernel, *bias])
        gammas, betas = np.array(norm.gamma), np.array(norm.beta)
        gammas[DEAD], betas[DEAD] = gamma, 2.5
        norm.gamma.assign(gammas)
        norm.beta.assign(betas)
        mean, variance = np.array(norm.moving_mean), np.array(norm.moving_variance)
        mean[DEAD] = variance[DEAD] = 0.0
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)
    quantized = quantize(model)
    calibrate(quantized, photos)
    artifact = to_tflite(quantized, "int8", photos, tmp_path)
    for steps, _ in biases(read_graph(tmp_path / artifact.path)):
        assert np.abs(steps.astype(np.int64)).max() < 2**31 - 1, "saturated"
    of_keras = np.asarray(quantized(photos, training=False))
    assert artifact.output.scale is not None
    off = np.abs(artifact_logits(artifact, tmp_path, photos) - of_keras).max() / artifact.output.scale
    assert off <= 2.01
    exact = np.asarray(model(photos, training=False))
    assert np.abs(of_keras - exact).max() < 0.05 * np.ptp(exact)
