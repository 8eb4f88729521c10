"""Layers that put something else into a part of a photo, or mix two photos and their labels."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from linnet_train.augment.random_layer import RandomLayer

# Of the erased rectangle: Zhong et al., table 4 of the paper's CIFAR-10 experiments.
_AREA = (0.02, 0.4)
_ASPECT = (0.3, 1 / 0.3)


class RandomErasing(RandomLayer):
    """A rectangle of random pixels in each photo, with probability ``erase``.

    Zhong et al., "Random erasing data augmentation" (2017): 2 to 40 % of the area, aspect 0.3 to 3.3. All photos of a
    step share one picture of noise: random numbers for each would take longer than everything else here.
    """

    def __init__(self, seed: int, *, erase: float) -> None:
        super().__init__(seed)
        self._erase = erase

    def vary(self, pixels: Any) -> Any:
        photos, (height, width) = ops.shape(pixels)[0], pixels.shape[1:3]
        side = ops.sqrt(self.uniform((photos,), *_AREA))
        stretch = ops.exp(self.uniform((photos,), math.log(_ASPECT[0]), math.log(_ASPECT[1])) / 2)
        tall, wide = ops.minimum(side * stretch, 1.0), ops.minimum(side / stretch, 1.0)
        place = self.uniform((2, photos), -0.5, 0.5)
        inside = _rectangles(height, width, place[0] * (1 - tall), place[1] * (1 - wide), tall, wide)
        erased = ops.logical_and(inside, self.uniform((photos, 1, 1, 1), 0.0, 1.0) < self._erase)
        return ops.where(erased, self.uniform((1, height, width, 3), 0.0, 255.0), pixels)


class Mix(RandomLayer):
    """Each photo mixed with its neighbour in the batch, and its label in the same proportion.

    MixUp (Zhang et al., "mixup: beyond empirical risk minimization", 2017): the sum of both, in shares that are
    Beta(``mixup``, ``mixup``). CutMix (Yun et al., "CutMix", 2019): a rectangle of the other, of an area that is
    Beta(``cutmix``, ``cutmix``); what a photo's edge cuts off does not count. Where both are asked for, each photo gets
    one of them. 0 is without.

    Batches come in a random order, so that the neighbour is any other photo.
    """

    def __init__(self, seed: int, *, mixup: float, cutmix: float, classes: int) -> None:
        super().__init__(seed)
        self._mixup, self._cutmix, self._classes = mixup, cutmix, classes

    def call(self, inputs: Any, labels: Any, training: bool = False) -> tuple[Any, Any]:
        """Photos [N, H, W, 3] with labels int [N]: the mixed photos, and soft labels float32 [N, classes]."""
        inputs = ops.cast(inputs, "float32")
        one_hot = ops.one_hot(labels, self._classes, dtype="float32")
        if not training:
            return inputs, one_hot
        photos = ops.shape(inputs)[0]
        if self._mixup:
            own = self._beta(photos, self._mixup)
        if self._cutmix:
            inside = self._rectangles(inputs, photos)
            pasted = 1.0 - ops.cast(inside, "float32")
            if self._mixup:
                cut = self.uniform((photos, 1, 1, 1), 0.0, 1.0) < 0.5
                own = ops.where(cut, pasted, own)
            else:
                own = pasted
        mixed = own * inputs + (1.0 - own) * ops.roll(inputs, 1, axis=0)
        share = ops.mean(own, axis=(1, 2))  # [N, 1]
        return mixed, share * one_hot + (1.0 - share) * ops.roll(one_hot, 1, axis=0)

    def _rectangles(self, inputs: Any, photos: Any) -> Any:
        side = ops.sqrt(1.0 - self._beta(photos, self._cutmix)[:, 0, 0, 0])
        middle = self.uniform((2, photos), -0.5, 0.5)
        return _rectangles(*inputs.shape[1:3], middle[0], middle[1], side, side)

    def _beta(self, photos: Any, alpha: float) -> Any:
        return keras.random.beta((photos, 1, 1, 1), alpha, alpha, dtype="float32", seed=self._generator)


def _rectangles(height: int, width: int, y: Any, x: Any, tall: Any, wide: Any) -> Any:
    """The pixels of a rectangle in each photo: bool [N, H, W, 1].

    ``y`` and ``x`` are its middle's distance from the photo's, ``tall`` and ``wide`` its sides: [N], in shares of the
    photo's side.
    """
    rows = ops.reshape((ops.arange(height, dtype="float32") + 0.5) / height - 0.5, (1, -1, 1, 1))
    columns = ops.reshape((ops.arange(width, dtype="float32") + 0.5) / width - 0.5, (1, 1, -1, 1))
    y, x, tall, wide = (ops.reshape(value, (-1, 1, 1, 1)) for value in (y, x, tall, wide))
    return ops.logical_and(ops.abs(rows - y) < tall / 2, ops.abs(columns - x) < wide / 2)
