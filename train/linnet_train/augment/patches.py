"""Random erasing, and the rectangles of it and of CutMix."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from linnet_train.augment.random_layer import RandomLayer

# Area and aspect ratio of the erased rectangle: Zhong et al., the CIFAR-10 experiments, table 4.
_AREA = (0.02, 0.4)
_ASPECT = (0.3, 1 / 0.3)


class RandomErasing(RandomLayer):
    """Replaces a rectangle of each photo by random pixels, with probability ``erase``.

    Zhong et al., "Random erasing data augmentation" (2017): 2 to 40 % of the area, at an aspect ratio of 0.3 to 3.3.
    All photos of a step share one picture of noise, because separate random numbers would take longer than the rest of
    this layer.
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
        inside = rectangles(height, width, place[0] * (1 - tall), place[1] * (1 - wide), tall, wide)
        erased = ops.logical_and(inside, self.uniform((photos, 1, 1, 1), 0.0, 1.0) < self._erase)
        return ops.where(erased, self.uniform((1, height, width, 3), 0.0, 255.0), pixels)


def rectangles(height: int, width: int, y: Any, x: Any, tall: Any, wide: Any) -> Any:
    """The pixels inside a rectangle of each photo: bool [N, H, W, 1].

    ``y`` and ``x`` are the position of its center relative to the photo's, ``tall`` and ``wide`` are its sides. Each is
    [N], in shares of the photo's side.
    """
    rows = ops.reshape((ops.arange(height, dtype="float32") + 0.5) / height - 0.5, (1, -1, 1, 1))
    columns = ops.reshape((ops.arange(width, dtype="float32") + 0.5) / width - 0.5, (1, 1, -1, 1))
    y, x, tall, wide = (ops.reshape(value, (-1, 1, 1, 1)) for value in (y, x, tall, wide))
    return ops.logical_and(ops.abs(rows - y) < tall / 2, ops.abs(columns - x) < wide / 2)
