"""How a bundle tells that a picture is none of its labels: a score, and the threshold above which it is. Internal."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from linnet_devices.api import Logits
from linnet_runtime.probabilities import probabilities

ScoreName = Literal["energy", "max_probability"]
SCORES: tuple[ScoreName, ...] = ("energy", "max_probability")
UNKNOWN = "unknown"
"""The label of a picture that is none of the labels, and of one about which nothing has been decided yet."""
_LARGEST = 1e6  # of a threshold


class Unknown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A score of strangeness and its threshold, as ``linnet tune`` sets them."""

    score: ScoreName
    """The score; see ``strangeness``."""
    threshold: Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
    """A picture whose score is above it is unknown."""
    refused: Annotated[float, Meta(gt=0, lt=1)]
    """The share of good photos for which the threshold was set, 0..1: so many of them are called unknown."""
    n: Annotated[int, Meta(ge=1)]
    """The number of good photos on which it was set."""


def strangeness(score: ScoreName, logits: Logits, temperature: float) -> NDArray[np.float32]:
    """The score of logits float32 [N, classes]: float32 [N], larger for stranger pictures.

    ``"energy"`` is -T * log(sum(exp(logits / T))), where T is the bundle's temperature (Liu et al., "Energy-based
    out-of-distribution detection", 2020). ``"max_probability"`` is 1 less the largest probability (Hendrycks and
    Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in neural networks", 2017).
    """
    if score == "max_probability":
        return np.float32(1) - probabilities(logits, temperature).max(axis=1)
    scaled = logits.astype(np.float32) / np.float32(temperature)
    largest = scaled.max(axis=1)
    sums = np.exp(scaled - largest[:, None]).sum(axis=1)
    return -np.float32(temperature) * (largest + np.log(sums))


def threshold_for(scores: NDArray[np.float32], refused: float) -> float:
    """The threshold above which at most the share ``refused`` of the good photos' scores float32 [N] lies.

    It lies between two of the scores, so that another engine's rounding changes no label of theirs without need.
    """
    ordered = np.sort(scores.astype(np.float64))
    kept = len(ordered) - int(np.floor(refused * len(ordered)))
    if kept >= len(ordered):  # too few photos for any to be refused
        return float(ordered[-1])
    return float((ordered[kept - 1] + ordered[kept]) / 2)
