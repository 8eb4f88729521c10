"""Logits to a label."""

from __future__ import annotations

import numpy as np

from linnet_devices.api import Logits, TensorSpec

TOP = 5


def probabilities(logits: Logits, temperature: float) -> Logits:
    """Softmax of logits / temperature over the last axis: float32, the same shape.

    The temperature is Guo et al., "On calibration of modern neural networks" (2017).
    """
    scaled = logits / np.float32(temperature)
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    total: Logits = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return total


def comparable(logits: Logits, output: TensorSpec) -> Logits:
    """Logits [N, classes] as their model's output has them: probabilities where it ends in a softmax. The logarithm of
    those that int8 rounds to nothing would be all that a comparison sees.
    """
    return probabilities(logits, 1.0) if output.values == "probabilities" else logits


def top_classes(probability: Logits, labels: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """The ``TOP`` best of probabilities [classes], best first; equal ones in the order of their indices."""
    best = np.argsort(-probability, kind="stable")[:TOP]
    return tuple((labels[i], float(probability[i])) for i in best)
