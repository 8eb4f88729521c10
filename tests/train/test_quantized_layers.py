"""The quantizing layers against the arithmetic of Jacob et al. (2018), written out in NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from linnet_train.quantization.layers import (
    FROZEN,
    MOVE,
    OBSERVE,
    FakeQuantize,
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
    QuantizedReLU,
)

RANGES = [(-1.0, 1.1), (-1.0, 127 / 128), (0.0, 6.0), (-0.3, 2.7), (-5.1, 0.02), (0.0, 1e-6), (-1e-3, 40.0)]


def grid(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point (0..255) of a range: nudged, so that zero is a whole number of steps."""
    scale = (high - low) / 255
    return scale, int(np.clip(np.round(-low / scale), 0, 255))


def fake_quantized(x: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    scale, zero_point = grid(low, high)
    return (np.clip(np.floor(x / scale + zero_point + 0.5), 0, 255) - zero_point) * scale


def frozen(low: float, high: float) -> FakeQuantize:
    layer = FakeQuantize(low, high)
    layer.build(None)
    return layer


def moving(layer: FakeQuantize, mode: str) -> FakeQuantize:
    layer.build(None)
    layer.mode = mode
    return layer


def bounds(layer: FakeQuantize) -> tuple[float, float]:
    return float(layer.minimum.numpy()), float(layer.maximum.numpy())


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_values_are_rounded_to_256_levels_of_the_nudged_range(low: float, high: float) -> None:
    step, _ = grid(low, high)
    # In the middle of a step half of them would round by the last bit of a float.
    x = (np.arange(-40, 300, 0.25) + 0.1) * step + low
    rounded = np.asarray(frozen(low, high)(x.astype(np.float32)))
    np.testing.assert_allclose(rounded, fake_quantized(x, low, high), atol=step * 1e-3)
    assert len(np.unique(rounded)) == 256


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_zero_stays_exactly_zero(low: float, high: float) -> None:
    assert np.asarray(frozen(low, high)(np.zeros(3, np.float32))).tolist() == [0, 0, 0]


def test_the_gradient_goes_straight_through_within_the_range_and_stops_outside() -> None:
    layer = frozen(-1.0, 2.0)
    x = tf.constant([-3.0, -0.98, 0.013, 1.9, 2.5])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layer(x) * [10.0, 20.0, 30.0, 40.0, 50.0])
    assert tape.gradient(y, x).numpy().tolist() == [0, 20, 30, 40, 0]


class TestModes:
    def test_observing_averages_the_extremes_and_rounds_nothing(self) -> None:
        layer = moving(FakeQuantize(), FROZEN)
        layer.start_observing()
        x = np.float32([[-1.0, 0.123456, 3.0], [-2.0, 0.5, 5.0]])
        for batch in x:
            np.testing.assert_array_equal(np.asarray(layer(batch)), batch)
        assert bounds(layer) == (-1.5, 4.0)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [([2.0, 3.0], (0.0, 3.0)), ([-3.0, -2.0], (-3.0, 1e-6)), ([0.0, 0.0], (0.0, 1e-6))],
        ids=["positive", "negative", "zeros"],
    )
    def test_zero_is_in_every_range_and_no_range_is_empty(
        self, values: list[float], expected: tuple[float, float]
    ) -> None:
        layer = moving(FakeQuantize(), FROZEN)
        layer.start_observing()
        layer(np.float32(values))
        assert bounds(layer) == pytest.approx(expected)

    def test_observing_again_forgets_the_range(self) -> None:
        layer = moving(FakeQuantize(), FROZEN)
        for top in (9.0, 1.0):
            layer.start_observing()
            layer(np.float32([0.0, top]))
        assert bounds(layer) == (0.0, 1.0)

    def test_a_moving_range_follows_training_steps_by_a_hundredth(self) -> None:
        layer = moving(FakeQuantize(), OBSERVE)
        layer(np.float32([-1.0, 1.0]))
        layer.mode = MOVE
        layer(np.float32([-2.0, 3.0]), training=False)
        assert bounds(layer) == (-1.0, 1.0)
        rounded = np.asarray(layer(np.float32([-2.0, 3.0]), training=True))
        assert bounds(layer) == pytest.approx((-1.01, 1.02))
        np.testing.assert_allclose(rounded, fake_quantized(np.array([-2.0, 3.0]), -1.01, 1.02), rtol=1e-5)

    def test_a_frozen_range_stays(self) -> None:
        layer = moving(FakeQuantize(), OBSERVE)
        layer(np.float32([-1.0, 1.0]))
        layer.mode = FROZEN
        layer(np.float32([-9.0, 9.0]), training=True)
        assert bounds(layer) == (-1.0, 1.0)

    @pytest.mark.parametrize("mode", [OBSERVE, MOVE, FROZEN])
    def test_a_given_range_stays_in_every_mode(self, mode: str) -> None:
        layer = moving(FakeQuantize(-1.0, 127 / 128), mode)
        rounded = np.asarray(layer(np.float32([-9.0, 0.0041, 9.0]), training=True))
        np.testing.assert_array_equal(rounded, np.float32([-1.0, 1 / 128, 127 / 128]))
        assert bounds(layer) == (-1.0, 127 / 128)


@pytest.mark.parametrize("limit", [None, 6.0])
def test_a_quantized_relu_is_a_relu_and_its_rounding(limit: float | None) -> None:
    layer = moving(QuantizedReLU(limit), FROZEN)
    layer.start_observing()
    x = np.linspace(-4, 9, 1001, dtype=np.float32)
    relu = np.clip(x, 0, limit or np.inf)
    np.testing.assert_array_equal(np.asarray(layer(x)), relu)
    assert bounds(layer) == (0.0, limit or 9.0)
    layer.mode = FROZEN
    step, _ = grid(*bounds(layer))
    rounded = np.asarray(layer(x))
    assert np.abs(rounded - relu).max() <= step / 2 + 1e-6
    assert np.abs(rounded / step - np.round(rounded / step)).max() < 1e-3


def rounded_weights(kernel: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """To -127 .. 127 steps, symmetric about zero, one scale for what is not in ``axes``."""
    scale = np.abs(kernel).max(axis=axes, keepdims=True) / 127
    return np.round(kernel / scale) * scale


# The layer, what Keras computes with weights rounded by hand, the kernel's axes that share a scale.
CASES = {
    "Conv2D": (QuantizedConv2D(5, 3, name="x"), keras.layers.Conv2D(5, 3), (0, 1, 2)),
    "Conv2D, strided": (
        QuantizedConv2D(5, 3, strides=2, padding="same", use_bias=False),
        keras.layers.Conv2D(5, 3, strides=2, padding="same", use_bias=False),
        (0, 1, 2),
    ),
    "DepthwiseConv2D": (
        QuantizedDepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        (0, 1),
    ),
    "Dense": (QuantizedDense(5), keras.layers.Dense(5), (0, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_weights_are_rounded_symmetrically_with_a_scale_for_each_output_channel(case: str) -> None:
    quantized, plain, axes = CASES[case]
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 7, 9, 4) if "Conv" in case else (2, 4)).astype(np.float32)
    quantized(x)
    plain(x)
    kernel, *bias = (rng.normal(size=weight.shape).astype(np.float32) for weight in quantized.get_weights())
    # Channels of very different sizes: one scale for all would round the small ones away.
    kernel *= np.geomspace(1, 1e-3, kernel.shape[-1], dtype=np.float32) if len(axes) == 3 else 1
    quantized.set_weights([kernel, *bias])
    plain.set_weights([rounded_weights(kernel, axes), *bias])
    np.testing.assert_allclose(np.asarray(quantized(x)), np.asarray(plain(x)), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(quantized.get_weights()[0], kernel)  # training keeps the unrounded ones


@pytest.mark.parametrize("case", CASES)
def test_a_channel_of_zeros_stays_zeros(case: str) -> None:
    quantized, _, _ = CASES[case]
    x = np.ones((1, 7, 9, 4) if "Conv" in case else (1, 4), np.float32)
    quantized(x)
    quantized.set_weights([np.zeros(weight.shape) for weight in quantized.get_weights()])
    assert not np.asarray(quantized(x)).any()


def test_the_gradient_reaches_the_unrounded_weights() -> None:
    layer = QuantizedConv2D(2, 1, use_bias=False)
    x = tf.ones((1, 2, 2, 3))
    layer(x)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(x))
    np.testing.assert_array_equal(tape.gradient(y, layer.kernel).numpy(), np.full((1, 1, 3, 2), 4.0))
