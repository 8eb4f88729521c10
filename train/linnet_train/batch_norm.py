"""Batch normalisation in one fused operation, where TensorFlow trains on a CPU.

Keras 3 composes batch statistics from elementwise operations; on a CPU they and their gradients are half of a
MobileNet's training step. TensorFlow's fused operation, which Keras 2 used, computes the same in two passes.
Ioffe and Szegedy, "Batch normalization" (2015).
"""

from __future__ import annotations

from typing import Any

import keras


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """A BatchNormalization over the last axis of [N, H, W, C]; in inference it is Keras's own."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable) or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # the only backend on which this class is used

        channels = inputs.shape[-1]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            self.gamma if self.scale else tf.ones(channels),
            self.beta if self.center else tf.zeros(channels),
            epsilon=self.epsilon,
            is_training=True,
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + keras.ops.stop_gradient(batch) * (1 - self.momentum))
        return outputs


def fuse_batch_norm(model: keras.Model) -> keras.Model:
    """A copy of a Functional model for training; the model itself where the backend has no use for it."""
    if keras.backend.backend() != "tensorflow":
        return model
    return _with_batch_norm(model, FusedBatchNormalization)


def plain_batch_norm(model: keras.Model) -> keras.Model:
    """A copy with Keras's own layers, for the disk: a file that Keras alone can read."""
    return _with_batch_norm(model, keras.layers.BatchNormalization)


def _with_batch_norm(model: keras.Model, kind: Any) -> keras.Model:
    def clone(layer: Any) -> Any:
        is_batch_norm = isinstance(layer, keras.layers.BatchNormalization)
        copy = (kind if is_batch_norm else type(layer)).from_config(layer.get_config())
        copy.trainable = layer.trainable
        return copy

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
