"""From logits to probabilities. Internal."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, TensorSpec

TOP = 5

Float = TypeVar("Float", bound=np.floating)


def softmax(logits: NDArray[Float]) -> NDArray[Float]:
    """The softmax over the last axis: the same dtype and shape."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probability: NDArray[Float] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probability


def probabilities(logits: Logits, temperature: float, *, independent: bool = False) -> Logits:
    """Probabilities from logits: float32, the same shape.

    They are the softmax of logits / temperature over the last axis, or the sigmoid of each where the labels are
    independent. Temperature scaling: Guo et al., "On calibration of modern neural networks" (2017).
    """
    scaled = logits / np.float32(temperature)
    return np.exp(-np.logaddexp(np.float32(0), -scaled)) if independent else softmax(scaled)


def comparable(logits: Logits, output: TensorSpec) -> Logits:
    """Logits [N, classes] in the unit of their model's output: probabilities where it ends in a softmax or in sigmoids.
    The logarithms of probabilities that int8 rounds to 0 would hide every other difference.
    """
    if output.values in ("logits", "features"):
        return logits
    return probabilities(logits, 1.0, independent=output.is_independent)


def top_classes(probability: Logits, labels: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """The ``TOP`` best of probabilities [classes], best first; equal ones in the order of their indices."""
    best = np.argsort(-probability, kind="stable")[:TOP]
    return tuple((labels[i], float(probability[i])) for i in best)
