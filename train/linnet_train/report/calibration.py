"""Calibration of probabilities: a prediction with probability 0.9 should be right nine times out of ten.

The expected calibration error, reliability diagrams and temperature scaling: Guo, Pleiss, Sun and Weinberger, "On
calibration of modern neural networks" (ICML 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from linnet_devices.api import Logits
from linnet_runtime.probabilities import softmax

TEMPERATURES = (0.1, 10.0)
_BINS = 15  # as in the paper
_TOLERANCE = 1e-9  # of the temperature's logarithm
_DRAWS = 100

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: the photos in 15 bins of equal width, by the probability of the predicted class."""

    count: NDArray[np.int64]
    """int64 [15]: the photos in each bin."""
    confidence: NDArray[np.float64]
    """float64 [15]: the mean probability in each bin; 0 in an empty bin."""
    accuracy: NDArray[np.float64]
    """float64 [15]: the share of correct predictions in each bin; 0 in an empty bin."""

    @property
    def ece(self) -> float:
        """The expected calibration error: the mean distance of confidence and accuracy, weighted by the photos."""
        return float((self.count * np.abs(self.confidence - self.accuracy)).sum() / self.count.sum())


def fit_temperature(logits: Logits, labels: Labels) -> float | None:
    """The temperature within ``TEMPERATURES`` with the lowest cross-entropy.

    Args:
        logits: float32 [N, classes].
        labels: int64 [N].

    Returns:
        None if every photo is classified correctly: the cross-entropy then has no minimum, but falls with the
        temperature.
    """
    scores = logits.astype(np.float64)
    if (scores.argmax(axis=1) == labels).all():
        return None
    of_label = scores[np.arange(len(labels)), labels]

    def slope(log_temperature: float) -> float:
        """The derivative of the cross-entropy with respect to 1/temperature, in which it is convex."""
        expected = (softmax(scores / np.exp(log_temperature)) * scores).sum(axis=1)
        return float((expected - of_label).mean())

    lowest, highest = np.log(TEMPERATURES)
    if slope(lowest) <= 0:  # the cross-entropy falls down to the lowest temperature
        return TEMPERATURES[0]
    if slope(highest) >= 0:
        return TEMPERATURES[1]
    return round(float(np.exp(brentq(slope, lowest, highest, xtol=_TOLERANCE))), 4)


def reliability(probability: Logits, labels: Labels) -> Reliability:
    """The reliability diagram of probabilities float32 [N, classes] and labels int64 [N]; N is at least 1."""
    confidence = probability.max(axis=1).astype(np.float64)
    return _binned(confidence, probability.argmax(axis=1) == labels)


def _binned(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Reliability:
    place = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    count = np.bincount(place, minlength=_BINS)
    filled = np.maximum(count, 1)
    return Reliability(
        count,
        np.bincount(place, confidence, minlength=_BINS) / filled,
        np.bincount(place, right, minlength=_BINS) / filled,
    )


def ece_by_chance(probability: Logits) -> float:
    """The expected calibration error that a perfectly calibrated model with these probabilities has by chance, because
    the number of photos is limited.

    Correct and wrong predictions are drawn at random: Broecker and Smith, "Increasing the reliability of reliability
    diagrams" (2007).
    """
    confidence = probability.max(axis=1).astype(np.float64)
    rng = np.random.default_rng(0)
    return float(np.mean([_binned(confidence, rng.random(len(confidence)) < confidence).ece for _ in range(_DRAWS)]))
