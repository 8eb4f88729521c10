"""Photos and batch statistics that come through an untrained network to its end, and its weights."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray


def photos(size: int, count: int = 2) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def random_statistics(model: keras.Model, inputs: NDArray[np.generic]) -> None:
    """Batch normalization that is not the identity, with these inputs' statistics: they come through to the end."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(rng.uniform(0.7, 1.4, layer.gamma.shape))
            layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
            layer.momentum = 0.0
    model(inputs, training=True)


def weights_of(model: keras.Model, layer: str) -> list[NDArray[np.float32]]:
    return list(model.get_layer(layer).get_weights())
