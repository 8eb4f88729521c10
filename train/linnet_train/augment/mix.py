"""MixUp and CutMix: two photos are mixed, and their labels in the same proportion."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from linnet_train.augment.patches import rectangles
from linnet_train.augment.random_layer import RandomLayer


class Mix(RandomLayer):
    """Mixes each photo with the one before it in the batch, which is random because the order of the photos is.

    MixUp (Zhang et al., "mixup: beyond empirical risk minimization", 2017) is the weighted sum of both, with weights
    from Beta(``mixup``, ``mixup``). CutMix (Yun et al., "CutMix", 2019) replaces a rectangle by that of the other
    photo, with an area from Beta(``cutmix``, ``cutmix``); the share counts only what lies inside the photo. With both,
    each photo gets one of them. 0 switches a method off.
    """

    def __init__(self, seed: int, *, mixup: float, cutmix: float) -> None:
        super().__init__(seed)
        self._mixup, self._cutmix = mixup, cutmix

    def call(self, inputs: Any, training: bool = False) -> tuple[Any, Any]:
        """The photos, mixed in training steps, and the share of the photo itself in each, float32 [N, 1]."""
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
        """1 where a pixel is kept, 0 where it is replaced by the other photo's: float32 [N, H, W, 1]."""
        photos, (height, width) = ops.shape(inputs)[0], inputs.shape[1:3]
        side = ops.sqrt(1.0 - self._beta(photos, self._cutmix)[:, 0, 0, 0])
        middle = self.uniform((2, photos), -0.5, 0.5)
        return 1.0 - ops.cast(rectangles(height, width, middle[0], middle[1], side, side), "float32")

    def _beta(self, photos: Any, alpha: float) -> Any:
        return keras.random.beta((photos, 1, 1, 1), alpha, alpha, dtype="float32", seed=self._generator)


def mixed_labels(labels: Any, own: Any, classes: int) -> Any:
    """Soft labels, float32 [N, classes], from labels int [N] and the shares of ``Mix``, float32 [N, 1]."""
    one_hot = ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), classes, dtype="float32")
    return own * one_hot + (1.0 - own) * ops.roll(one_hot, 1, axis=0)


class MixModel(keras.Model):
    """A model with two outputs, the logits [N, classes] and the shares of ``Mix``. It is trained on soft labels."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        logits, own = y_pred
        return super().compute_loss(x, mixed_labels(y, own, logits.shape[-1]), logits, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The accuracy counts the label with the larger share."""
        logits, own = y_pred
        soft = mixed_labels(y, own, logits.shape[-1])
        return super().compute_metrics(x, ops.argmax(soft, axis=-1), logits, sample_weight)
