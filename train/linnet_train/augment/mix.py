"""MixUp and CutMix: two photos in one, and their labels in the same proportion."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from linnet_train.augment.patches import rectangles
from linnet_train.augment.random_layer import RandomLayer


class Mix(RandomLayer):
    """Each photo mixed with the one before it in the batch.

    MixUp (Zhang et al., "mixup: beyond empirical risk minimization", 2017): the sum of both, in shares that are
    Beta(``mixup``, ``mixup``). CutMix (Yun et al., "CutMix", 2019): a rectangle of the other, of an area that is
    Beta(``cutmix``, ``cutmix``); what a photo's edge cuts off does not count. Where both are asked for, each photo gets
    one of them. 0 is without.

    Batches come in a random order, so that the one before is any other photo.
    """

    def __init__(self, seed: int, *, mixup: float, cutmix: float) -> None:
        super().__init__(seed)
        self._mixup, self._cutmix = mixup, cutmix

    def call(self, inputs: Any, training: bool = False) -> tuple[Any, Any]:
        """The photos, mixed in training steps, and the share of each that is still its own, float32 [N, 1]."""
        inputs = ops.cast(inputs, "float32")  # uint8 where there is no other augmentation
        photos = ops.shape(inputs)[0]
        if not training:
            return inputs, ops.ones((photos, 1))
        if self._mixup:
            own = self._beta(photos, self._mixup)
        if self._cutmix:
            kept = self._kept(inputs)
            own = ops.where(self.uniform((photos, 1, 1, 1), 0.0, 1.0) < 0.5, kept, own) if self._mixup else kept
        return own * inputs + (1.0 - own) * ops.roll(inputs, 1, axis=0), ops.mean(own, axis=(1, 2))

    def _kept(self, inputs: Any) -> Any:
        """1 where a pixel stays, 0 where it is the other photo's: float32 [N, H, W, 1]."""
        photos, (height, width) = ops.shape(inputs)[0], inputs.shape[1:3]
        side = ops.sqrt(1.0 - self._beta(photos, self._cutmix)[:, 0, 0, 0])
        middle = self.uniform((2, photos), -0.5, 0.5)
        return 1.0 - ops.cast(rectangles(height, width, middle[0], middle[1], side, side), "float32")

    def _beta(self, photos: Any, alpha: float) -> Any:
        return keras.random.beta((photos, 1, 1, 1), alpha, alpha, dtype="float32", seed=self._generator)


def mixed_labels(labels: Any, own: Any, classes: int) -> Any:
    """Labels int [N] and the shares that ``Mix`` gives, float32 [N, 1], to soft labels float32 [N, classes]."""
    one_hot = ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), classes, dtype="float32")
    return own * one_hot + (1.0 - own) * ops.roll(one_hot, 1, axis=0)


class MixModel(keras.Model):
    """A model with two outputs, the logits [N, classes] and the shares that ``Mix`` gives, trained by soft labels."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        logits, own = y_pred
        return super().compute_loss(x, mixed_labels(y, own, logits.shape[-1]), logits, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Accuracy is by the label that has the larger share."""
        logits, own = y_pred
        soft = mixed_labels(y, own, logits.shape[-1])
        return super().compute_metrics(x, ops.argmax(soft, axis=-1), logits, sample_weight)
