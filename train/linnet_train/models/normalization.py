"""What published weights take pixels to be, and how they come to take Linnet's.

Every network here sees (p - 128) / 128, which eight bits hold exactly. Weights that were trained on pixels normalized
in another way see a linear function of that, and the first convolution is linear: its kernel takes in the scale, its
bias (or the mean of the normalization behind it) the offset. That is exact but where the convolution reads the border
of zeros around the picture: a zero is grey 128 here and the mean colour there.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

SCALE, OFFSET = 1 / 128, -1.0  # pixels to -1 .. 127/128


@dataclass(frozen=True)
class Normalization:
    """(p / 255 - mean) / std for each of red, green and blue; ``bgr`` where blue is the first channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    def fold_into(self, model: keras.Model) -> None:
        """Makes a model whose weights are for such pixels one for Linnet's; see the module."""
        stem, norm = [layer for layer in model.layers if layer.weights][:2]
        kernel, *bias = stem.get_weights()
        if self.bgr:
            kernel = kernel[:, :, ::-1]
        # A pixel p is 128 (x + 1), and theirs is scale * x + offset, a colour each.
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
