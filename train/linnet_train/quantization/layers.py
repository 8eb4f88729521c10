"""Layers that compute in float what an int8 engine computes: weights and activations are rounded to 256 levels.
Internal.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference" (2018).
Every backend of Keras has the rounding with its straight-through gradient. TensorFlow's converter turns it into the
scale and the zero point of the .tflite.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_AVERAGE_DECAY = 0.99  # of a moving range, for each training step
SMALLEST_RANGE = 1e-6  # a channel of zeros still needs a scale
_NEGLIGIBLE = 1e-6  # compared with a step of 1/255

# The modes of a FakeQuantize layer. A layer that was loaded from a file is frozen.
OBSERVE = "observe"  # calibration: the range follows the inputs, which are not rounded
MOVE = "move"  # training: the range is a moving average of the inputs, which are rounded
FROZEN = "frozen"  # the range is fixed, and the inputs are rounded


@keras.saving.register_keras_serializable("linnet")
class FakeQuantize(keras.layers.Layer):
    """Rounds activations to 256 levels, in one range for the whole tensor. Zero is one of the levels."""

    def __init__(self, minimum: float | None = None, maximum: float | None = None, **kwargs: Any) -> None:
        """With both bounds, the range is fixed; otherwise it is calibrated.

        Args:
            minimum: the lower end of the range, in the activation's unit. Without a maximum, values below it must make
                no difference.
            maximum: the upper end.
            kwargs: those of every Keras layer.
        """
        super().__init__(**kwargs)
        self.begins_at = minimum
        self.fixed = (minimum, maximum) if minimum is not None and maximum is not None else None
        self.mode = FROZEN
        self.batches_observed: Any = 0

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
        """Starts calibration: the following batches set the range to the average of their minima and maxima."""
        self.mode = OBSERVE
        self.batches_observed = 0

    def call(self, inputs: Any, training: bool = False, follow: bool = True) -> Any:
        """Rounds the inputs as the mode says. With ``follow=False`` they do not change the range in any mode."""
        if self.fixed is None:
            if self.mode == OBSERVE:
                if follow:
                    self.batches_observed = self.batches_observed + 1
                    self._follow(inputs, 1 / self.batches_observed)
                return self._unrounded(inputs)
            if self.mode == MOVE and training and follow:
                self._follow(inputs, 1 - _AVERAGE_DECAY)
        return self._rounded(inputs)

    def unrounded(self, inputs: Any) -> Any:
        """The layer's output for arrays, without the rounding and without the clipping into a calibrated range."""
        mode, self.mode = self.mode, OBSERVE
        try:
            return self.call(inputs, follow=False)
        finally:
            self.mode = mode

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def _rounded(self, inputs: Any) -> Any:
        return _round(inputs, self.minimum, self.maximum)

    def _unrounded(self, inputs: Any) -> Any:
        """The layer's output without the rounding."""
        return inputs

    def _extremes(self, inputs: Any) -> tuple[Any, Any]:
        """The smallest and the largest unrounded value. Zero is in every range, because padding needs it exactly."""
        smallest = ops.minimum(ops.min(inputs), 0.0) if self.begins_at is None else self.begins_at
        return smallest, ops.maximum(ops.max(inputs), SMALLEST_RANGE)

    def _follow(self, inputs: Any, rate: float) -> None:
        for bound, extreme in zip((self.minimum, self.maximum), self._extremes(inputs), strict=True):
            bound.assign(bound + rate * (ops.stop_gradient(ops.cast(extreme, "float32")) - bound))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minimum": self.begins_at, "maximum": self.fixed and self.fixed[1]}


@keras.saving.register_keras_serializable("linnet")
class QuantizedReLU(FakeQuantize):
    """A ReLU and the rounding of its output, in one pass over the activations.

    The range begins at zero and ends at or below ``max_value``, so rounding into it is the ReLU. A training step saves
    two passes over the activations, and an engine saves the clamp.
    """

    def __init__(self, max_value: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_value = max_value

    def _unrounded(self, inputs: Any) -> Any:
        return ops.relu(inputs) if self.max_value is None else ops.clip(inputs, 0.0, self.max_value)

    def _extremes(self, inputs: Any) -> tuple[Any, Any]:
        largest = ops.maximum(ops.max(inputs), SMALLEST_RANGE)
        return 0.0, largest if self.max_value is None else ops.minimum(largest, self.max_value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_value": self.max_value}


@keras.saving.register_keras_serializable("linnet")
class QuantizedConcatenate(FakeQuantize):
    """A Concatenate along the channels whose inputs are rounded to one range, because engines only copy them."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], sum(shape[-1] for shape in input_shape))

    def _rounded(self, inputs: Any) -> Any:
        # Rounding the concatenated tensor would give the same values, but hide the range of each input.
        return ops.concatenate([super(QuantizedConcatenate, self)._rounded(x) for x in inputs], axis=-1)

    def _unrounded(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, axis=-1)

    def _extremes(self, inputs: Any) -> tuple[Any, Any]:
        minima, maxima = zip(*(super(QuantizedConcatenate, self)._extremes(x) for x in inputs), strict=True)
        return ops.min(ops.stack(minima)), ops.max(ops.stack(maxima))


@keras.saving.register_keras_serializable("linnet")
class QuantizedHardSigmoid(FakeQuantize):
    """A hard sigmoid, relu6(x + 3) / 6, computed by rounding x / 6 + 1/2 into the range 0 to 1.

    Behind a convolution it costs an engine nothing: the scale and the offset are folded into the kernel and the bias,
    and the range is the clamp. Howard et al., "Searching for MobileNetV3" (2019).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "minimum": 0.0, "maximum": 1.0})

    def call(self, inputs: Any, training: bool = False, follow: bool = True) -> Any:
        # With one factor for all channels, the converter would scale the convolution's input, in a range that it
        # invents. With one bias for all, it would round the bias only for the first channel.
        channels = inputs.shape[-1]
        sixth, half = ops.full((channels,), 1 / 6), ops.linspace(0.5, 0.5 + _NEGLIGIBLE, channels)
        return super().call(inputs * sixth + half, training, follow)


@keras.saving.register_keras_serializable("linnet")
class QuantizedHardSwish(FakeQuantize):
    """A hard swish, x * relu6(x + 3) / 6, whose gate is rounded too.

    With an unrounded gate the converter would write a HARD_SWISH, which XNNPACK does not have. MobileNetV3-small at
    224 px was then divided into 20 partitions and took 4.9 ms on one thread of an x86 core; with ADD, MUL and MUL,
    XNNPACK runs the whole network, in 1.5 ms.
    """

    ZERO_BELOW = -3.0
    _LEAST = -0.375  # at -1.5

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "minimum": self._LEAST})

    def call(self, inputs: Any, training: bool = False, follow: bool = True) -> Any:
        if training:  # rounding the gate hardly changes the rounded output, and would take time
            return super().call(ops.hard_silu(inputs), training, follow)
        gate = _round(_round(inputs + 3.0, 0.0, 6.0) * (1 / 6), 0.0, 1.0)  # the first range is the ReLU6
        return super().call(inputs * gate, training, follow)


@keras.saving.register_keras_serializable("linnet")
class PassThrough(keras.layers.Layer):
    """Returns its input [N, H, W, C], computed by a depthwise convolution with a kernel of a single 1.

    It is inserted where an engine needs an operation: to scale and shift the channels, or to give a stored tensor
    another range.
    """

    def __init__(self, margin: int = 0, **kwargs: Any) -> None:
        """``margin`` is the number of zeros on either side of the 1: the converter would merge two equal operations."""
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, inputs: Any) -> Any:
        kernel = ops.pad(ops.ones((1, 1, inputs.shape[-1], 1)), [(0, 0), (self.margin, self.margin), (0, 0), (0, 0)])
        return ops.depthwise_conv(inputs, kernel, padding="same")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}


def _round(inputs: Any, minimum: Any, maximum: Any) -> Any:
    return keras.quantizers.fake_quant_with_min_max_vars(inputs, minimum, maximum, num_bits=8)


def _round_weights(kernel: Any, channel_axis: int | None) -> Any:
    """Rounds weights to 255 levels, symmetric about zero, with a range for each channel; without an axis, with one."""
    axes = tuple(i for i in range(len(kernel.shape)) if i != channel_axis)
    largest = ops.maximum(ops.max(ops.abs(kernel), axis=axes), SMALLEST_RANGE)
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
        # The output channels become one axis, because a range for each channel cannot span two.
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
    """A Dense whose kernel [in, out] is rounded with one range. TensorFlow's converter refuses one for each channel."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = ops.matmul(inputs, _round_weights(self.kernel, None))
        return self.activation(outputs + self.bias if self.use_bias else outputs)
