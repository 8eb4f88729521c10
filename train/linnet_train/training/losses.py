"""The losses of a recipe, for integer and for soft labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from linnet_train.recipes.recipe import CrossEntropy, Focal

LossFunction = Callable[[Any, Any], Any]


def loss_function(loss: CrossEntropy | Focal, class_counts: NDArray[np.int64]) -> LossFunction:
    """A loss for ``compile``.

    Args:
        loss: the loss and its arguments.
        class_counts: int64 [classes], the photos of each class in the training part.

    Returns:
        A function of labels and logits float32 [N, classes] that returns the loss of each photo, float32 [N]. Labels
        are integers [N] or [N, 1], or the share of each class, float [N, classes].
    """
    classes = len(class_counts)
    weights = balanced_weights(class_counts) if loss.class_weights else None

    def compute(labels: Any, logits: Any) -> Any:
        # Keras has label smoothing only for one-hot labels, and a focal loss only for sigmoids and probabilities.
        shares = as_shares(labels, classes)
        smooth = shares * (1 - loss.label_smoothing) + loss.label_smoothing / classes
        log_p = ops.log_softmax(logits)
        if isinstance(loss, Focal):
            # At p = 1 a power with an exponent below one has no finite gradient.
            smooth = smooth * ops.maximum(1 - ops.exp(log_p), 1e-7) ** loss.gamma
        of_photo = -ops.sum(smooth * log_p, axis=-1)
        return of_photo if weights is None else of_photo * ops.sum(shares * weights, axis=-1)

    return compute


def as_shares(labels: Any, classes: int) -> Any:
    """Labels as shares, float32 [N, classes]: integer labels [N] or [N, 1] become one-hot, shares stay as they are."""
    if len(labels.shape) == 2 and labels.shape[1] == classes:
        return ops.cast(labels, "float32")
    return ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), classes, dtype="float32")


def balanced_weights(class_counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """The weight of each class, float32 [classes]: inversely proportional to its count, 1 on average."""
    return (class_counts.sum() / (len(class_counts) * class_counts)).astype(np.float32)
