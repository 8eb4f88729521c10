"""Quantization-aware training in Keras 3: ``quantize`` a Functional model, ``calibrate`` it, and train further.

int8 = quantize(model)
calibrate(int8, training_photos)      # post-training quantization ends here
move_ranges(int8); int8.compile(…); int8.fit(…)
freeze_ranges(int8); int8.compile(…); int8.fit(…)
round_biases(int8)                    # the last step before saving
"""

from linnet_train.quantization.biases import round_biases
from linnet_train.quantization.layers import FakeQuantize
from linnet_train.quantization.ranges import (
    Rounding,
    calibrate,
    compute,
    fake_quantize_layers,
    freeze_ranges,
    move_ranges,
    roundings,
)
from linnet_train.quantization.transform import quantize

__all__ = [
    "FakeQuantize",
    "Rounding",
    "calibrate",
    "compute",
    "fake_quantize_layers",
    "freeze_ranges",
    "move_ranges",
    "quantize",
    "round_biases",
    "roundings",
]
