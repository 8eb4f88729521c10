"""The fused batch normalization computes what Keras's own does, and stays off the disk."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from linnet_train.models import build_model
from linnet_train.training.batch_norm import FusedBatchNormalization
from linnet_train.training.precision import for_disk, for_training
from networks import random_weights

X = np.random.default_rng(0).normal(1.5, 2.0, (8, 9, 7, 5)).astype(np.float32)
WEIGHTS_OF_LOSS = np.random.default_rng(5).normal(size=X.shape).astype(np.float32)
SAMPLES = 8 * 9 * 7


def pair(**options: bool) -> tuple[layers.BatchNormalization, FusedBatchNormalization]:
    """Keras's layer and ours with equal weights, which are not the initial ones."""
    both = layers.BatchNormalization(momentum=0.9, **options), FusedBatchNormalization(momentum=0.9, **options)
    rng = np.random.default_rng(1)
    for layer in both:
        layer.build(X.shape)
    weights = [rng.uniform(0.5, 2.0, weight.shape) for weight in both[0].weights]
    for layer in both:
        layer.set_weights(weights)
    return both


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=["full", "no scale", "no offset"])
@pytest.mark.parametrize("training", [True, False])
def test_outputs_gradients_and_statistics_are_those_of_keras(options: dict[str, bool], training: bool) -> None:
    outputs, gradients = [], []
    plain, fused = pair(**options)
    for layer in (plain, fused):
        x = tf.constant(X)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            loss = tf.reduce_sum(y * WEIGHTS_OF_LOSS)
        outputs.append(y.numpy())
        gradients.append([g.numpy() for g in tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)])])
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(gradients[1], gradients[0], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())
    # TensorFlow's variance is the unbiased one: larger by 1 in the number of samples.
    for mine, theirs in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2 / SAMPLES)


def test_a_frozen_layer_uses_and_keeps_its_statistics() -> None:
    plain, fused = pair()
    fused.trainable = plain.trainable = False
    before = fused.get_weights()
    np.testing.assert_allclose(np.asarray(fused(X, training=True)), np.asarray(plain(X, training=True)), rtol=1e-6)
    for now, then in zip(fused.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_model_is_the_same_with_and_without() -> None:
    model = build_model("tiny", classes=3, size=32, alpha=1.0, weights="none", dropout=0.0)
    pixels = np.random.default_rng(2).integers(0, 256, (6, 32, 32, 3), np.uint8)
    random_weights(model, pixels, 3)
    model.get_layer("stem").trainable = False
    expected = np.asarray(model(pixels, training=False))
    fused = for_training(model)
    plain = for_disk(fused)
    for copy, kind in ((fused, FusedBatchNormalization), (plain, layers.BatchNormalization)):
        kinds = {type(layer) for layer in copy.layers if isinstance(layer, layers.BatchNormalization)}
        assert kinds == {kind}
        np.testing.assert_allclose(np.asarray(copy(pixels, training=False)), expected, rtol=1e-5, atol=1e-6)
        assert not copy.get_layer("stem").trainable
        assert copy.get_layer("project").trainable
        assert [layer.momentum for layer in copy.layers if isinstance(layer, kind)] == [0.9] * 3
    reference = np.asarray(model(pixels, training=True))
    np.testing.assert_allclose(np.asarray(fused(pixels, training=True)), reference, rtol=1e-4, atol=1e-4)


def test_copies_do_not_share_weights() -> None:
    model = build_model("tiny", classes=3, size=32, alpha=1.0, weights="none", dropout=0.0)
    fused = for_training(model)
    fused.set_weights([weight * 0 + 7 for weight in fused.get_weights()])
    assert not any((weight == 7).all() for weight in model.get_weights())


def test_a_run_s_models_are_keras_s_own(tiny_run: object) -> None:
    for name in ("float", "qat"):
        model = keras.saving.load_model(f"{tiny_run}/{name}.keras", compile=False)
        kinds = {type(layer) for layer in model.layers if isinstance(layer, layers.BatchNormalization)}
        assert kinds == {layers.BatchNormalization}
