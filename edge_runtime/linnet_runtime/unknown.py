"""Out-of-distribution scores of logits, and a bundle's threshold above which a picture is unknown. Internal."""

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
"""The label of a picture that shows none of the classes, and of one about which nothing has been decided yet."""
_LARGEST = 1e6  # of a threshold


class Unknown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A score and its threshold, as ``linnet tune`` sets them."""

    score: ScoreName
    """The score; see ``unknown_scores``."""
    threshold: Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
    """A picture with a score above it is unknown."""
    refused: Annotated[float, Meta(gt=0, lt=1)]
    """The share of good photos, 0..1, that may be called unknown: the threshold was set for it."""
    n: Annotated[int, Meta(ge=1)]
    """The number of good photos on which it was set."""


def unknown_scores(score: ScoreName, logits: Logits, temperature: float) -> NDArray[np.float32]:
    """The scores of logits float32 [N, classes]: float32 [N], larger for pictures that are less like the classes.

    ``"energy"`` is -T * log(sum(exp(logits / T))), where T is the bundle's temperature (Liu et al., "Energy-based
    out-of-distribution detection", 2020). ``"max_probability"`` is 1 - the largest probability (Hendrycks and
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

    It lies halfway between two scores, so that the rounding of another engine seldom moves a photo across it.
    """
    ordered = np.sort(scores.astype(np.float64))
    kept = len(ordered) - int(np.floor(refused * len(ordered)))
    if kept >= len(ordered):  # too few photos for any to be refused
        return float(ordered[-1])
    return float((ordered[kept - 1] + ordered[kept]) / 2)
