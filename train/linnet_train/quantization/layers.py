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
SMALLEST_RANGE = 1e-6  # a channel of zeros still needs a scale
_NOTHING = 1e-6  # beside a step of 1/255

# What a FakeQuantize layer does with its range. A layer that was loaded from a file is frozen.
OBSERVE = "observe"  # follow the inputs and pass them on unrounded: calibration
MOVE = "move"  # follow the inputs of training steps by a moving average, and round
FROZEN = "frozen"  # round


@keras.saving.register_keras_serializable("linnet")
class FakeQuantize(keras.layers.Layer):
    """Rounds activations to the 256 levels of one range for the whole tensor, zero among them.

    Args:
        minimum, maximum: a range that is given and never moves, float, in the activation's own unit. Without a maximum
            it is calibrated, and begins at the minimum where there is one: what is below makes no difference.
    """

    def __init__(self, minimum: float | None = None, maximum: float | None = None, **kwargs: Any) -> None:
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
        """Forgets the range; the batches that follow set it to the average of their minima and maxima."""
        self.mode = OBSERVE
        self.batches_observed = 0

    def call(self, inputs: Any, training: bool = False, follow: bool = True) -> Any:
        """Rounds; without ``follow`` the inputs have no part in the range, whatever the mode."""
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
        """What the layer makes of its inputs, arrays, but for the rounding and the clipping into a calibrated range."""
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
        """What the layer computes but for the rounding."""
        return inputs

    def _extremes(self, inputs: Any) -> tuple[Any, Any]:
        """The smallest and the largest unrounded value. Zero has to be in every range: padding needs it exactly."""
        smallest = ops.minimum(ops.min(inputs), 0.0) if self.begins_at is None else self.begins_at
        return smallest, ops.maximum(ops.max(inputs), SMALLEST_RANGE)

    def _follow(self, inputs: Any, rate: float) -> None:
        for bound, extreme in zip((self.minimum, self.maximum), self._extremes(inputs), strict=True):
            bound.assign(bound + rate * (ops.stop_gradient(ops.cast(extreme, "float32")) - bound))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minimum": self.begins_at, "maximum": self.fixed and self.fixed[1]}


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
        largest = ops.maximum(ops.max(inputs), SMALLEST_RANGE)
        return 0.0, largest if self.max_value is None else ops.minimum(largest, self.max_value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_value": self.max_value}


@keras.saving.register_keras_serializable("linnet")
class QuantizedConcatenate(FakeQuantize):
    """A Concatenate along the channels whose inputs are rounded to one range: engines only put them side by side."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], sum(shape[-1] for shape in input_shape))

    def _rounded(self, inputs: Any) -> Any:
        # Rounding what is put together would be the same, but says nothing to the converter of each input.
        return ops.concatenate([super(QuantizedConcatenate, self)._rounded(x) for x in inputs], axis=-1)

    def _unrounded(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, axis=-1)

    def _extremes(self, inputs: Any) -> tuple[Any, Any]:
        minima, maxima = zip(*(super(QuantizedConcatenate, self)._extremes(x) for x in inputs), strict=True)
        return ops.min(ops.stack(minima)), ops.max(ops.stack(maxima))


@keras.saving.register_keras_serializable("linnet")
class QuantizedHardSigmoid(FakeQuantize):
    """A hard sigmoid, relu6(x + 3) / 6, as the rounding of x / 6 + 1/2 into 0 .. 1.

    Behind a convolution an engine has it for nothing: the scale and the offset go into the kernel and the bias, and the
    range is the clamp. Howard et al., "Searching for MobileNetV3" (2019).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "minimum": 0.0, "maximum": 1.0})

    def call(self, inputs: Any, training: bool = False, follow: bool = True) -> Any:
        # One factor for all channels, and the converter would scale the convolution's input, in a range of its own
        # making; one bias, and it would round it for the first channel alone.
        channels = inputs.shape[-1]
        sixth, half = ops.full((channels,), 1 / 6), ops.linspace(0.5, 0.5 + _NOTHING, channels)
        return super().call(inputs * sixth + half, training, follow)


@keras.saving.register_keras_serializable("linnet")
class QuantizedHardSwish(FakeQuantize):
    """A hard swish, x * relu6(x + 3) / 6, whose gate is rounded too.

    Unrounded, the converter would make a HARD_SWISH of it, and XNNPACK has none: MobileNetV3-small at 224 px fell into
    20 pieces and took 4.9 ms on one thread of an x86 core. ADD, MUL and MUL it computes with all the rest, in 1.5 ms.
    """

    ZERO_BELOW = -3.0
    _LEAST = -0.375  # at -1.5

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "minimum": self._LEAST})

    def call(self, inputs: Any, training: bool = False, follow: bool = True) -> Any:
        if training:  # the gate's 255 steps of a whole are lost in the output's rounding, and not in a step's time
            return super().call(ops.hard_silu(inputs), training, follow)
        gate = _round(_round(inputs + 3.0, 0.0, 6.0) * (1 / 6), 0.0, 1.0)  # the first range is the ReLU6
        return super().call(inputs * gate, training, follow)


@keras.saving.register_keras_serializable("linnet")
class PassThrough(keras.layers.Layer):
    """Its input [N, H, W, C] by way of a depthwise convolution with a single 1.

    It stands where an engine needs an operation: to scale and shift the channels in its pass, or to give a stored
    tensor another range.

    Args:
        margin: zeros on either side of the 1. The converter would make one operation of two that are alike.
    """

    def __init__(self, margin: int = 0, **kwargs: Any) -> None:
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
    """Weights to 255 levels, symmetric about zero: one range a channel, or one in all where the axis is None."""
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
