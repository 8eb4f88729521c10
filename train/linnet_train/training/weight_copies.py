"""Copies of a network's weights during training: their moving average, and the best so far.

The copies are weights of a layer behind the network, so they are in every training step and every checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

# The momentum grows with the steps, as in TensorFlow's ExponentialMovingAverage. Otherwise the first, random weights
# would still have a share in the average of a short run.
_STEPS_TO_TENTH = 10.0


class WeightCopies(keras.layers.Layer):
    """Returns its input unchanged, and holds a copy of each weight of a model. It computes in float32."""

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs, dtype="float32")
        weights = list(model.weights)
        self._originals: Callable[[], list[Any]] = lambda: weights  # Keras would track a list as this layer's
        self._copies = [
            self.add_weight(shape=weight.shape, dtype=weight.dtype, trainable=False, name=f"copy_{i}", autocast=False)
            for i, weight in enumerate(weights)
        ]
        self.store()

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def store(self, judged: WeightCopies | None = None) -> None:
        """Copies the model's weights, or the copies in ``judged``."""
        for copy, weight in zip(self._copies, judged._copies if judged else self._originals(), strict=True):
            copy.assign(ops.copy(weight.value))

    def restore(self) -> None:
        """Sets the model's weights to the copies."""
        for copy, weight in zip(self._copies, self._originals(), strict=True):
            weight.assign(ops.copy(copy.value))

    def swap(self) -> None:
        """Exchanges the copies and the weights."""
        # Without ops.copy, here and above, two variables would share a buffer on JAX, which a step may overwrite.
        for copy, weight in zip(self._copies, self._originals(), strict=True):
            held = ops.copy(weight.value)
            weight.assign(copy)
            copy.assign(held)


class WeightAverage(WeightCopies):
    """The exponential moving average of the weights (Polyak and Juditsky, 1992) and of the batch statistics.

    The statistics are averaged too, because those of the last weights do not fit the average of many.
    """

    def __init__(self, model: keras.Model, momentum: float, **kwargs: Any) -> None:
        super().__init__(model, **kwargs)
        self._momentum = momentum
        self._steps = self.add_weight(shape=(), dtype="float32", initializer="zeros", trainable=False, name="steps")

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self._steps.assign(self._steps + 1)
            momentum = ops.minimum(self._momentum, self._steps / (self._steps + _STEPS_TO_TENTH))
            for copy, weight in zip(self._copies, self._originals(), strict=True):
                copy.assign(copy + (1 - momentum) * (weight - copy))
        return inputs
