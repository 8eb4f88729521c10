"""A float model to its fake-quantized twin: what is rounded, where, and what survives the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from linnet_runtime.run_files import load_run_photos
from linnet_train.errors import TrainingError
from linnet_train.models import build_model
from linnet_train.quantization import calibrate, fake_quantize_layers, freeze_ranges, move_ranges, quantize
from linnet_train.quantization.layers import FROZEN, MOVE
from networks import random_weights


def logits_of(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(model(pixels, training=False))


def photos(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.fixture
def tiny_model() -> keras.Model:
    keras.utils.set_random_seed(2)
    model = build_model("tiny", classes=3, size=32, alpha=1.0, weights="none", dropout=0.2)
    random_weights(model, photos(16, 32), 2)
    return model


def test_what_an_engine_stores_is_rounded_once_and_nothing_else(tiny_model: keras.Model) -> None:
    """One range behind each ReLU, each batch normalization without one, the addition, the logits, and the pooling,
    whose dropout is nothing on a device.
    """
    names = {layer.name for layer in fake_quantize_layers(quantize(tiny_model))}
    pooled = names & {"pool_range", "dropout_range"}
    assert len(pooled) == 1
    assert names - pooled == {
        *("pixels_range", "stem_relu", "depthwise_relu"),
        *("project_bn_range", "add_range", "logits_range"),
    }


def test_mobilenet_is_rounded_wherever_an_engine_stores() -> None:
    model = build_model("mobilenet_v2", classes=3, size=32, alpha=0.35, weights="none", dropout=0.2)
    quantized = quantize(model)
    kinds = [type(layer).__name__ for layer in model.layers]
    names = [layer.name for layer in fake_quantize_layers(quantized)]
    linear = sum(layer.name.endswith("project_BN") for layer in model.layers)  # bottlenecks without a ReLU
    assert len(names) == len(set(names)) == 1 + kinds.count("ReLU") + linear + kinds.count("Add") + 2
    weighted = [layer for layer in quantized.layers if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)]
    assert all(type(layer).__name__.startswith("Quantized") for layer in weighted)


def test_a_convolution_with_two_readers_is_stored_before_its_activation() -> None:
    """An engine cannot compute the ReLU in the convolution's pass and still have what the sum reads."""
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Conv2D(4, 3, name="conv")(layers.Rescaling(1 / 128, -1.0)(pixels))
    x = layers.Add(name="sum")([layers.ReLU(name="relu")(x), x])
    quantized = quantize(keras.Model(pixels, layers.GlobalAveragePooling2D(name="pool")(x)))
    stored = quantized.get_layer("conv_range").output
    passed_through = quantized.get_layer("relu").input._keras_history.operation
    assert passed_through.input is stored
    assert quantized.get_layer("sum").input[1] is stored


def test_the_input_range_makes_the_pixel_the_quantised_value(tiny_model: keras.Model) -> None:
    quantized = quantize(tiny_model)
    pixels_range = quantized.get_layer("pixels_range")
    assert pixels_range.fixed == (-1.0, 127 / 128)
    pixels = np.tile(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), (1, 2, 2, 3))
    real = np.asarray(keras.Model(quantized.input, pixels_range.output)(pixels))
    np.testing.assert_array_equal(real, (pixels.astype(np.float32) - 128) / 128)


def all_known_layers() -> keras.Model:
    """Every layer that ``quantize`` knows, in an order in which engines meet them."""
    pixels = keras.Input((15, 12, 3), dtype="uint8")
    x = layers.Rescaling(1 / 128, -1.0)(pixels)
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2D(6, 3, strides=2, activation="relu")(x)  # an activation of the layer's own
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    y = layers.ReLU()(y)
    x = layers.Add()([x, y, x])
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.5)(x)
    one = layers.GlobalAveragePooling2D()(x)
    other = layers.Dense(6)(layers.Flatten()(x))
    return keras.Model(pixels, layers.Dense(4)(layers.Reshape((6,))(layers.Add()([one, other]))))


def round_all_weights(model: keras.Model) -> None:
    """Makes every kernel one that int8 can hold exactly, so that rounding it changes nothing."""
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            kernel, *bias = layer.get_weights()
            steps = np.round(kernel / np.abs(kernel).max() * 127)
            steps.reshape(-1, steps.shape[-1])[0] = 127  # the largest of each channel,
            if isinstance(layer, layers.DepthwiseConv2D):
                steps[0, 0] = 127  # whose axis is another one here
            layer.set_weights([steps / 512, *bias])


@pytest.mark.parametrize("network", ["tiny", "all"])
def test_but_for_the_rounding_it_is_the_same_network(network: str, tiny_model: keras.Model) -> None:
    """With weights that int8 holds exactly, and while the activations are only observed."""
    model = tiny_model if network == "tiny" else all_known_layers()
    round_all_weights(model)
    quantized = quantize(model)
    for layer in fake_quantize_layers(quantized):
        layer.start_observing()
    pixels = np.random.default_rng(4).integers(0, 256, (5, *model.input_shape[1:]), np.uint8)
    np.testing.assert_allclose(logits_of(quantized, pixels), logits_of(model, pixels), rtol=1e-4, atol=1e-5)


def test_the_float_model_stays_as_it_was(tiny_model: keras.Model) -> None:
    before, weights = logits_of(tiny_model, photos(3, 32)), tiny_model.get_weights()
    quantized = quantize(tiny_model)
    calibrate(quantized, photos(8, 32))
    quantized.set_weights([weight * 0 for weight in quantized.get_weights()])
    np.testing.assert_array_equal(logits_of(tiny_model, photos(3, 32)), before)
    for now, then in zip(tiny_model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_calibrated_logits_are_near_the_float_ones_on_256_levels(tiny_model: keras.Model) -> None:
    quantized = quantize(tiny_model)
    calibrate(quantized, photos(32, 32))
    rounded, exact = logits_of(quantized, photos(64, 32)), logits_of(tiny_model, photos(64, 32))
    output = quantized.get_layer("logits_range")
    low, high = float(output.minimum.numpy()), float(output.maximum.numpy())
    step = (high - low) / 255
    assert np.abs(rounded - np.clip(exact, low, high)).max() < 12 * step
    assert np.abs(rounded / step - np.round(rounded / step)).max() < 1e-3
    assert len(np.unique(rounded)) > 20, "more than a constant"


def test_post_training_accuracy_is_near_the_float_model_s(tiny_run: Path) -> None:
    kept = load_run_photos(tiny_run)
    model = keras.saving.load_model(tiny_run / "float.keras", compile=False)
    quantized = quantize(model)
    calibrate(quantized, kept["train"].pixels)

    def top1(model: keras.Model) -> float:
        return float((logits_of(model, kept["val"].pixels).argmax(axis=1) == kept["val"].labels).mean())

    assert top1(model) >= 0.9, "the photos are easy"
    assert top1(quantized) >= top1(model) - 1 / 12  # one photo


def test_calibration_freezes_every_range(tiny_model: keras.Model) -> None:
    quantized = quantize(tiny_model)
    calibrate(quantized, photos(8, 32))
    before = quantized.get_weights()
    for layer in fake_quantize_layers(quantized):
        assert layer.mode == FROZEN
        assert float(layer.maximum.numpy()) > float(layer.minimum.numpy())
    for layer in quantized.layers:
        layer.trainable = False  # batch normalization would move its statistics
    quantized(255 - photos(8, 32), training=True)
    for now, then in zip(quantized.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_ranges_move_until_they_are_frozen(tiny_model: keras.Model) -> None:
    quantized = quantize(tiny_model)
    calibrate(quantized, photos(8, 32))
    stem = quantized.get_layer("stem_relu")
    stem.maximum.assign(3.0)
    move_ranges(quantized)
    assert {layer.mode for layer in fake_quantize_layers(quantized)} == {MOVE}
    quantized(photos(8, 32), training=True)
    moved = float(stem.maximum.numpy())
    assert moved != 3.0
    freeze_ranges(quantized)
    quantized(photos(8, 32), training=True)
    assert float(stem.maximum.numpy()) == moved


class _Scale(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs * 2.0


@pytest.mark.parametrize(
    ("behind", "says"),
    [
        (layers.LeakyReLU(name="leaky"), "layer leaky: got LeakyReLU"),
        (layers.Activation("exponential", name="powers"), "layer powers: got [Aa]ctivation"),
        (_Scale(name="twice"), "layer twice: got _Scale"),
        (lambda x: x * 2.0, r"\w+ multiply\w*: got Multiply"),  # not a layer: an operation on a tensor
    ],
    ids=["layer", "activation", "custom", "operation"],
)
def test_a_layer_that_is_not_known_is_named(behind: Any, says: str) -> None:
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Rescaling(1 / 128, -1.0)(pixels)
    model = keras.Model(pixels, behind(layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    with pytest.raises(TrainingError, match=f"^{says}.*, expected"):
        quantize(model)


def test_a_model_that_is_not_functional_is_refused() -> None:
    class Subclassed(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(TrainingError, match="model: got Subclassed, expected a Functional Keras model"):
        quantize(Subclassed())


# What linnet convert imports, and nothing that would register more; float.keras is read before even that.
RELOAD = """
import sys, keras, numpy as np
run, pixels = sys.argv[1], np.load(sys.argv[2])
as_float = keras.saving.load_model(run + "/float.keras", compile=False)
import linnet_train.quantization
as_int8 = keras.saving.load_model(run + "/qat.keras", compile=False)
np.savez(sys.argv[3], float=as_float(pixels, training=False), qat=as_int8(pixels, training=False))
"""


def test_models_come_back_from_the_disk_in_another_process(tiny_run: Path, tmp_path: Path) -> None:
    pixels = load_run_photos(tiny_run)["val"].pixels
    np.save(tmp_path / "pixels.npy", pixels)
    command = [sys.executable, "-c", RELOAD, tiny_run, tmp_path / "pixels.npy", tmp_path / "logits.npz"]
    subprocess.run(command, check=True, capture_output=True)
    with np.load(tmp_path / "logits.npz") as logits:
        for name in ("float", "qat"):
            model = keras.saving.load_model(tiny_run / f"{name}.keras", compile=False)
            np.testing.assert_array_equal(logits[name], logits_of(model, pixels))


def test_a_calibrated_model_is_itself_after_saving(tiny_model: keras.Model, tmp_path: Path) -> None:
    quantized = quantize(tiny_model)
    calibrate(quantized, photos(8, 32))
    quantized.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(logits_of(loaded, photos(4, 32)), logits_of(quantized, photos(4, 32)))
    assert {layer.mode for layer in fake_quantize_layers(loaded)} == {FROZEN}
    assert loaded.get_layer("stem_relu").max_value == 6.0
