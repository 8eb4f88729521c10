"""Photos that are mixed, and their labels with them: mixup and CutMix."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from linnet_train.augment.layers import mix
from linnet_train.augment.mix import MixModel
from linnet_train.augment.settings import Augmentation
from linnet_train.recipes.recipe import CrossEntropy
from linnet_train.training.losses import loss_function
from train.augmented import MIXES, SIDE, flat, mixed, mixer


@pytest.mark.parametrize("alphas", MIXES.values(), ids=MIXES)
class TestMix:
    def test_the_label_is_the_share_of_the_pixels(self, alphas: dict[str, float]) -> None:
        """Photos of one brightness each, 0 and 200 in turn: the mean of a mixed one tells its shares exactly."""
        outputs, soft = mixed(flat(*[0, 200] * 32), [0, 1] * 32, 3, **alphas)
        np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(soft[:, 1], outputs.mean(axis=(1, 2, 3)) / 200, atol=1e-4)
        assert (soft[:, 2] == 0).all()
        assert np.ptp(soft[::2, 0]) > 0.5, "each photo in a share of its own"

    def test_photos_of_one_class_keep_its_label(self, alphas: dict[str, float]) -> None:
        _, soft = mixed(flat(10, 20, 30), [1, 1, 1], 2, **alphas)
        np.testing.assert_allclose(soft, [[0, 1]] * 3, atol=1e-6)

    def test_out_of_training_nothing_is_mixed(self, alphas: dict[str, float]) -> None:
        outputs, own = mixer(**alphas)(flat(10, 20), training=False)
        np.testing.assert_array_equal(outputs, flat(10, 20))
        np.testing.assert_array_equal(own, [[1], [1]])


def test_a_network_learns_from_soft_labels_and_is_judged_by_hard_ones() -> None:
    """In training the loss keeps the entropy of the labels; in validation it does not."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    mixed_pixels, own = mix(pixels, Augmentation(view="none", **MIXES["both"]), 0)
    logits = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(mixed_pixels / 200 - 0.5))
    model = MixModel(pixels, [logits, own])
    model.compile(
        keras.optimizers.Adam(1.0),
        loss_function(CrossEntropy(label_smoothing=0.0), np.array([32, 32])),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    photos = flat(*np.random.default_rng(0).permutation([0, 200] * 32).tolist())
    labels = (photos[:, 0, 0, 0] > 100).astype(np.int64)
    history = model.fit(photos, labels, 32, 12, validation_data=(photos, labels), verbose=0).history
    assert history["val_accuracy"][-1] == 1
    assert history["val_loss"][-1] < 0.7 * history["loss"][-1]
    assert history["accuracy"][-1] > 0.8


def test_mixup_is_a_sum_and_cutmix_a_patch() -> None:
    photos = flat(*[0, 200] * 32)
    levels = [
        np.array([len(np.unique(p.round(3))) for p in mixed(photos, [0, 1] * 32, 2, **a)[0]]) for a in MIXES.values()
    ]
    sums, patches, either = levels
    assert (sums == 1).all()
    assert ((patches == 2) | (patches == 1)).all()
    assert (patches == 2).mean() > 0.7
    assert 0.2 < (either == 2).mean() < 0.7
