"""The normalization of pixels that published weights expect, and how it is folded into the first convolution.

Every network here reads (p - 128) / 128, which eight bits represent exactly. Any other normalization is a linear
function of that. The first convolution is linear too, so the scale is folded into its kernel, and the offset into its
bias or into the mean of the batch normalization behind it. This is exact except at the border, where the convolution
reads padding: a zero there means gray 128 here, and the mean color with the published weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

SCALE, OFFSET = 1 / 128, -1.0  # maps pixels to -1 .. 127/128


@dataclass(frozen=True)
class Normalization:
    """The normalization (p / 255 - mean) / std of pixels p."""

    mean: tuple[float, float, float]
    """For red, green and blue."""
    std: tuple[float, float, float]
    """For red, green and blue."""
    bgr: bool = False
    """Whether blue is the first channel."""

    def fold_into(self, model: keras.Model) -> None:
        """Changes the first convolution of a model with weights for such pixels, so that it takes Linnet's pixels."""
        stem, norm = [layer for layer in model.layers if layer.weights][:2]
        kernel, *bias = stem.get_weights()
        if self.bgr:
            kernel = kernel[:, :, ::-1]
        # With x = (p - 128) / 128, the normalized pixel is scale * x + offset, for each color.
        mean, std = np.array(self.mean), np.array(self.std)
        scale, offset = 128 / 255 / std, (128 / 255 - mean) / std
        shift = np.einsum("hwco,c->o", kernel, offset)
        kernel = kernel * scale[:, np.newaxis]
        if bias:
            stem.set_weights([kernel, bias[0] + shift])
            return
        stem.set_weights([kernel])
        norm.moving_mean.assign(norm.moving_mean - shift)


HALF = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # -1 .. 1
IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
CAFFE = Normalization(_CAFFE_MEAN, (1 / 255, 1 / 255, 1 / 255), bgr=True)
