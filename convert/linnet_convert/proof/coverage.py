"""How well the ranges of a quantized model fit the values of its tensors: what is clipped, and what is unused."""

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
    """The range of one stored tensor, and the values that it had on photos."""

    layer: str
    """The layer that rounds the tensor."""
    low: float
    """The lower end of the range."""
    high: float
    """The upper end of the range."""
    smallest: float
    """The smallest value before rounding."""
    largest: float
    """The largest value before rounding."""
    outside: float
    """The share of values outside the range, which are clipped."""
    used: float
    """The share of the range between the smallest and the largest value."""

    @classmethod
    def of(cls, layer: str, low: float, high: float, rows: list[tuple[float, float, int, int]]) -> Coverage:
        """From a row for each batch: smallest value, largest value, number of values outside, number of values."""
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
    """The coverage of every tensor whose range was calibrated or learned; a few are fixed, as a softmax's 0 to 1.

    Args:
        model: quantized, from ``linnet_train.quantization``.
        pixels: uint8 [N, H, W, 3], photos that did not set the ranges; the first 64 are used.
    """
    seen: dict[str, list[tuple[float, float, int, int]]] = {}
    layers: dict[str, FakeQuantize] = {}

    def stored(layer: FakeQuantize, inputs: Any) -> Any:
        if layer.fixed is None:
            values = np.asarray(layer.unrounded(inputs))
            # A range that begins at a given value clips what is below it without effect.
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
