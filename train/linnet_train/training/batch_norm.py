"""Batch normalization in one fused operation, where TensorFlow trains on a CPU.

Keras 3 composes the batch statistics from elementwise operations; on a CPU these and their gradients take half of a
MobileNet's training step. TensorFlow's fused operation, which Keras 2 used, computes the same in two passes.
Ioffe and Szegedy, "Batch normalization" (2015).
"""

from __future__ import annotations

from typing import Any

import keras


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """A BatchNormalization over the last axis of [N, H, W, C]. In inference it computes what Keras's own computes."""

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
