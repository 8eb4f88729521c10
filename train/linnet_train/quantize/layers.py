"""Layers that compute in float what an int8 engine will compute: weights and activations rounded to 256 levels.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference" (2018).
Every backend of Keras has the rounding and its straight-through gradient; TensorFlow's converter turns it into the
scale and zero point of the .tflite.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_AVERAGE_DECAY = 0.99  # of a moving range, a training step
_SMALLEST_RANGE = 1e-6  # a channel of zeros still needs a scale

# What a FakeQuantize layer does with its range. A layer that was loaded from a file is frozen.
OBSERVE = "observe"  # follow the inputs and pass them on unrounded: calibration
MOVE = "move"  # follow the inputs of training steps by a moving average, and round
FROZEN = "frozen"  # round


@keras.saving.register_keras_serializable("linnet")
class FakeQuantize(keras.layers.Layer):
    """Rounds activations to the 256 levels of one range for the whole tensor, zero among them.

    Args:
        minimum, maximum: a range that is given and never moves; without them it is calibrated. Float, in the
            activation's own unit.
    """

    def __init__(self, minimum: float | None = None, maximum: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fixed = (minimum, maximum) if minimum is not None and maximum is not None else None
        self.mode = FROZEN
        self._batches_observed = 0

    def build(self, input_shape: Any) -> None:
        minimum, maximum = self.fixed or (0.0, 0.0)
        self.minimum = self._bound("minimum", minimum)
        self.maximum = self._bound("maximum", maximum)
        self.built = True

    def _bound(self, name: str, value: float) -> Any:
        return self.add_weight(
            name=name, shape=(), dtype="float32", initializer=keras.initializers.Constant(value), trainable=False
        )

    def start_observing(self) -> None:
        """Forgets the range; the batches that follow set it to the average of their minima and maxima."""
        self.mode = OBSERVE
        self._batches_observed = 0

    def call(self, inputs: Any, training: bool = False) -> Any:
        if self.fixed is None:
            if self.mode == OBSERVE:
                self._batches_observed += 1
                self._follow(inputs, 1 / self._batches_observed)
                return self._unrounded(inputs)
            if self.mode == MOVE and training:
                self._follow(inputs, 1 - _AVERAGE_DECAY)
        return keras.quantizers.fake_quant_with_min_max_vars(inputs, self.minimum, self.maximum, num_bits=8)

    def _unrounded(self, inputs: Any) -> Any:
        """What the layer computes but for the rounding."""
        return inputs

    def _extremes(self, inputs: Any) -> tuple[Any, Any]:
        """The smallest and the largest unrounded value. Zero has to be in every range: padding needs it exactly."""
        return ops.minimum(ops.min(inputs), 0.0), ops.maximum(ops.max(inputs), _SMALLEST_RANGE)

    def _follow(self, inputs: Any, rate: float) -> None:
        for bound, extreme in zip((self.minimum, self.maximum), self._extremes(inputs), strict=True):
            bound.assign(bound + rate * (ops.cast(extreme, "float32") - bound))

    def get_config(self) -> dict[str, Any]:
        minimum, maximum = self.fixed or (None, None)
        return {**super().get_config(), "minimum": minimum, "maximum": maximum}


@keras.saving.register_keras_serializable("linnet")
class QuantizedReLU(FakeQuantize):
    """A ReLU and the rounding of its output in one pass over the activations.

    The range begins at zero and ends at or below ``max_value``, so that rounding into it is the ReLU already: a
    training step saves two passes, and an engine the clamp.
    """

    def __init__(self, max_value: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_value = max_value

    def _unrounded(self, inputs: Any) -> Any:
        return ops.relu(inputs) if self.max_value is None else ops.clip(inputs, 0.0, self.max_value)

    def _extremes(self, inputs: Any) -> tuple[Any, Any]:
        largest = ops.maximum(ops.max(inputs), _SMALLEST_RANGE)
        return 0.0, largest if self.max_value is None else ops.minimum(largest, self.max_value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_value": self.max_value}


def _round_weights(kernel: Any, channel_axis: int | None) -> Any:
    """Weights to 255 levels, symmetric about zero: one range a channel, or one in all where the axis is None."""
    axes = tuple(i for i in range(len(kernel.shape)) if i != channel_axis)
    largest = ops.maximum(ops.max(ops.abs(kernel), axis=axes), _SMALLEST_RANGE)
    return keras.quantizers.fake_quant_with_min_max_vars(
        kernel, -largest, largest, num_bits=8, narrow_range=True, axis=channel_axis
    )


@keras.saving.register_keras_serializable("linnet")
class QuantizedConv2D(keras.layers.Conv2D):
    """A Conv2D whose kernel [height, width, in, out] is rounded with a range for each output channel."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, _round_weights(kernel, 3))


@keras.saving.register_keras_serializable("linnet")
class QuantizedDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A DepthwiseConv2D whose kernel [height, width, in, multiplier] has a range for each output channel."""

    def call(self, inputs: Any) -> Any:
        height, width, channels, multiplier = self.kernel.shape
        # Flat, the output channels are one axis: on two, a range per channel cannot be said.
        kernel = _round_weights(ops.reshape(self.kernel, (height, width, channels * multiplier)), 2)
        outputs = ops.depthwise_conv(
            inputs,
            ops.reshape(kernel, (height, width, channels, multiplier)),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return self.activation(outputs + self.bias if self.use_bias else outputs)


@keras.saving.register_keras_serializable("linnet")
class QuantizedDense(keras.layers.Dense):
    """A Dense whose kernel [in, out] is rounded with one range: TensorFlow's converter refuses one a channel here."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = ops.matmul(inputs, _round_weights(self.kernel, None))
        return self.activation(outputs + self.bias if self.use_bias else outputs)
