"""The base class of the augmentation layers."""

from __future__ import annotations

from typing import Any

import keras


class RandomLayer(keras.layers.Layer):
    """Varies each photo of float32 [N, H, W, 3], 0..255, separately, and only in training steps.

    It computes in float32 under every policy, because bfloat16 is too coarse for the position and the value of a pixel.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(dtype="float32")
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.vary(inputs) if training else inputs

    def vary(self, pixels: Any) -> Any:
        """The varied photos, of the same shape and range."""
        raise NotImplementedError

    def uniform(self, shape: tuple[Any, ...], least: float, most: float) -> Any:
        """The next random numbers, float32 of ``shape``."""
        return keras.random.uniform(shape, least, most, dtype="float32", seed=self._generator)
