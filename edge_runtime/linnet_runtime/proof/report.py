"""The parity report: every artifact against the model that it came from, and against every other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from linnet_devices.api import Logits
from linnet_runtime.proof.comparison import Comparison, LogitSteps, Share, compare

FOLDER = "report"  # of a bundle
PAGE = "index.html"
PARITY_JSON, INTEGER_JSON, LAYERS_JSON, CALIBRATION_JSON = (
    "parity.json",
    "integer.json",
    "layers.json",
    "calibration.json",
)


@dataclass(frozen=True)
class Compared:
    """An artifact on a device. ``failed`` says in words which gates it missed; ``comparison`` is None where none of
    the photos is one that the reference was asked about.
    """

    path: str
    precision: str
    device: str
    comparison: Comparison | None
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two artifacts, or one on two devices, against each other."""

    first: str
    second: str
    agreement: Share
    steps: LogitSteps


@dataclass(frozen=True)
class ParityReport:
    """``photos`` is how many were compared on; ``gate`` says in words what has to hold."""

    name: str
    photos: int
    gate: str
    artifacts: tuple[Compared, ...]
    pairs: tuple[Pair, ...]

    @property
    def passed(self) -> bool:
        return not any(row.failed for row in self.artifacts)


def compare_pairs(logits: Mapping[str, tuple[Logits, float | None]]) -> tuple[Pair, ...]:
    """Every two of some models' logits float32 [N, classes], each with its output's scale where it is quantised."""
    pairs = []
    for (first, (one, scale)), (second, (other, other_scale)) in combinations(logits.items(), 2):
        found = compare(first, one, other, None, (), scale=scale if scale is not None else other_scale)
        pairs.append(Pair(first, second, found.agreement, found.steps))
    return tuple(pairs)
