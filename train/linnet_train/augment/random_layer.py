"""What the layers of augmentation share."""

from __future__ import annotations

from typing import Any

import keras


class RandomLayer(keras.layers.Layer):
    """Varies photos float32 [N, H, W, 3] of 0..255 in training steps, each in its own way, and no others.

    It computes in float32 under every policy: bfloat16 holds neither the place of a pixel nor its value.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(dtype="float32")
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.vary(inputs) if training else inputs

    def vary(self, pixels: Any) -> Any:
        """The photos, varied: of the same shape and range."""
        raise NotImplementedError

    def uniform(self, shape: tuple[Any, ...], least: float, most: float) -> Any:
        """The next random numbers, float32 of ``shape``."""
        return keras.random.uniform(shape, least, most, dtype="float32", seed=self._generator)
