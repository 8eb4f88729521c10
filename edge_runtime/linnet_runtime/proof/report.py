"""The parity report: every artifact compared with the model that it was made from, and with every other artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from linnet_devices.api import Logits
from linnet_runtime.proof.comparison import Comparison, LogitSteps, Share, compare

FOLDER = "report"  # in a bundle
PAGE = "index.html"
PARITY_JSON, INTEGER_JSON, LAYERS_JSON, CALIBRATION_JSON = (
    "parity.json",
    "integer.json",
    "layers.json",
    "calibration.json",
)


@dataclass(frozen=True)
class Compared:
    """An artifact on a device, compared with the model that it was made from."""

    path: str
    """The artifact's path in the bundle."""
    precision: str
    device: str
    comparison: Comparison | None
    """None where the reference knows none of the photos."""
    failed: tuple[str, ...] = ()
    """The gates that it misses, in words."""


@dataclass(frozen=True)
class Pair:
    """Two artifacts, or one on two devices, compared with each other."""

    first: str
    second: str
    agreement: Share
    """The share of photos with the same top-1."""
    steps: LogitSteps


@dataclass(frozen=True)
class ParityReport:
    """The comparisons of a bundle's artifacts."""

    name: str
    """The bundle's name, or the path that the user gave."""
    photos: int
    """The number of photos."""
    gate: str
    """The gates in words."""
    artifacts: tuple[Compared, ...]
    pairs: tuple[Pair, ...]

    @property
    def passed(self) -> bool:
        return not any(row.failed for row in self.artifacts)


def compare_pairs(logits: Mapping[str, tuple[Logits, float | None]]) -> tuple[Pair, ...]:
    """Compares each two models by their logits float32 [N, classes]; a scale is that of a quantized output, or None."""
    pairs = []
    for (first, (one, scale)), (second, (other, other_scale)) in combinations(logits.items(), 2):
        found = compare(first, one, other, None, (), scale=scale if scale is not None else other_scale)
        pairs.append(Pair(first, second, found.agreement, found.steps))
    return tuple(pairs)
