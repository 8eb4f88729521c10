"""How well the ranges of a quantised model fit what its tensors hold: what is clipped, and what is left unused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from linnet_devices.api import Pixels
from linnet_train.quantization import FakeQuantize, compute

PHOTOS = 64
_BATCH = 16


@dataclass(frozen=True)
class Coverage:
    """A stored tensor, by the layer that rounds it: its range ``low`` to ``high``, the ``smallest`` and the ``largest``
    value seen, the share of values ``outside`` the range, which are clipped, and the share of the range ``used``.
    """

    layer: str
    low: float
    high: float
    smallest: float
    largest: float
    outside: float
    used: float

    @classmethod
    def of(cls, layer: str, low: float, high: float, rows: list[tuple[float, float, int, int]]) -> Coverage:
        """From rows of batches: the smallest and the largest value, how many are outside, how many there are."""
        smallest, largest = min(row[0] for row in rows), max(row[1] for row in rows)
        return cls(
            layer=layer,
            low=low,
            high=high,
            smallest=smallest,
            largest=largest,
            outside=sum(row[2] for row in rows) / sum(row[3] for row in rows),
            used=max(0.0, min(largest, high) - max(smallest, low)) / ((high - low) or 1.0),
        )


def measure_coverage(model: keras.Model, pixels: Pixels) -> tuple[Coverage, ...]:
    """Every tensor whose range was calibrated or learned; a few are what they are, as a softmax's 0 to 1.

    Args:
        model: quantised, from ``linnet_train.quantization``.
        pixels: uint8 [N, H, W, 3] of photos that set no range; the first 64 are used.
    """
    seen: dict[str, list[tuple[float, float, int, int]]] = {}
    layers: dict[str, FakeQuantize] = {}

    def stored(layer: FakeQuantize, inputs: Any) -> Any:
        if layer.fixed is None:
            values = np.asarray(layer.unrounded(inputs))
            # What lies below the beginning of a range that is given makes no difference.
            below = 0 if layer.begins_at is not None else np.count_nonzero(values < float(layer.minimum))
            above = np.count_nonzero(values > float(layer.maximum))
            layers[layer.name] = layer
            row = (float(values.min()), float(values.max()), int(below + above), values.size)
            seen.setdefault(layer.name, []).append(row)
        return layer(inputs)

    for start in range(0, len(pixels[:PHOTOS]), _BATCH):
        compute(model, pixels[start : min(start + _BATCH, PHOTOS)], stored)
    return tuple(
        Coverage.of(name, float(layers[name].minimum), float(layers[name].maximum), rows) for name, rows in seen.items()
    )
