"""The losses are those of Keras and scikit-learn where these have them, of integer and of soft labels alike."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from linnet_train.recipes.recipe import CrossEntropy, Focal
from linnet_train.training.losses import loss_function

CLASSES, N = 4, 32
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (N, CLASSES)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, N)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[LABELS]
COUNTS = np.array([10, 40, 25, 25])

NONE: dict[str, Any] = {"reduction": "none", "from_logits": True}
SAME_AS_KERAS = {
    "cross-entropy": (CrossEntropy(label_smoothing=0.0), keras.losses.CategoricalCrossentropy(**NONE)),
    "smoothed": (CrossEntropy(label_smoothing=0.1), keras.losses.CategoricalCrossentropy(label_smoothing=0.1, **NONE)),
    "focal": (Focal(gamma=2.0), keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, **NONE)),
}


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], ONE_HOT], ids=["[N]", "[N, 1]", "shares"])
@pytest.mark.parametrize(("loss", "theirs"), SAME_AS_KERAS.values(), ids=list(SAME_AS_KERAS))
def test_a_loss_is_keras_s(loss: CrossEntropy | Focal, theirs: Any, labels: np.ndarray) -> None:
    mine = np.asarray(loss_function(loss, COUNTS)(keras.ops.convert_to_tensor(labels), LOGITS))
    np.testing.assert_allclose(mine, np.asarray(theirs(ONE_HOT, LOGITS)), rtol=1e-4, atol=1e-5)


def test_a_label_of_two_classes_has_the_loss_of_both() -> None:
    compute = loss_function(Focal(), COUNTS)
    shares = 0.3 * ONE_HOT + 0.7 * np.roll(ONE_HOT, 1, axis=0)
    both = 0.3 * np.asarray(compute(ONE_HOT, LOGITS)) + 0.7 * np.asarray(compute(np.roll(ONE_HOT, 1, axis=0), LOGITS))
    np.testing.assert_allclose(np.asarray(compute(shares, LOGITS)), both, rtol=1e-5)


@pytest.mark.parametrize("labels", [LABELS, ONE_HOT], ids=["integers", "shares"])
def test_class_weights_make_each_class_count_alike(labels: np.ndarray) -> None:
    photos = np.repeat(np.arange(CLASSES), COUNTS)
    weights = compute_class_weight("balanced", classes=np.arange(CLASSES), y=photos)
    plain, weighted = (
        np.asarray(loss_function(CrossEntropy(class_weights=on), COUNTS)(keras.ops.convert_to_tensor(labels), LOGITS))
        for on in (False, True)
    )
    np.testing.assert_allclose(weighted, plain * weights[LABELS], rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_photo_without_doubt_has_a_finite_gradient(gamma: float) -> None:
    """A power below one is infinitely steep at zero."""
    import tensorflow as tf

    logits = tf.constant([[200.0, -200.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = loss_function(Focal(gamma=gamma), COUNTS)(np.array([0]), logits)
    assert np.isfinite(loss.numpy()).all()
    assert np.isfinite(tape.gradient(loss, logits).numpy()).all()
