"""The page of a proof: one HTML file about parity, integers, layers and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import msgspec

from linnet_devices.api import Pixels
from linnet_runtime.pages import render_page, thumbnail_uri
from linnet_runtime.proof.report import ParityReport

_MOST_PICTURES = 24
_PICTURE = (150, 150)  # width and height on the page, in pixels


@dataclass(frozen=True)
class _Flipped:
    """A photo whose label differs under some artifact."""

    photo: int
    """Its index."""
    label: str | None
    """Its true label; None where it is not known."""
    picture: str | None
    """A data URI; None where no picture may be shown."""
    predictions: list[tuple[str, str, str, float]]
    """(artifact, the reference's prediction, the artifact's prediction, margin in steps)."""


def render_proof(
    report: ParityReport,
    pixels: Pixels | None,
    *,
    integer: list[dict[str, Any]] | None = None,
    layers: list[dict[str, Any]] | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> str:
    """The page as HTML.

    Args:
        report: the parity report.
        pixels: the photos of the comparison, uint8 RGB [N, H, W, 3]; None where no picture may be shown.
        integer: integer reports as plain data.
        layers: differences of each layer, as plain data.
        calibration: the summary of the calibration photos, with ``coverage``, as plain data.
    """
    rows = msgspec.to_builtins(report.artifacts)
    compared = [row for row in rows if row["comparison"] is not None]
    return render_page(
        "linnet_runtime.proof",
        name=report.name,
        photos=report.photos,
        gate=report.gate,
        passed=report.passed,
        rows=rows,
        compared=compared,
        bins=_bin_names(compared[0]["comparison"]["steps"]["bins"]) if compared else [],
        pairs=_matrix(report),
        flipped=_flipped(report, pixels),
        integer=integer or [],
        layers=layers or [],
        calibration=calibration,
    )


def _bin_names(ends: list[float]) -> list[str]:
    return [
        f"below {ends[0]:g}",
        *(f"{low:g}–{high:g}" for low, high in pairwise(ends)),
        f"{ends[-1]:g} on",
    ]


def _matrix(report: ParityReport) -> list[tuple[str, list[dict[str, float] | None]]]:
    """A row for each model, with a cell for each model: their agreement and difference, None for itself."""
    names = list(dict.fromkeys(name for pair in report.pairs for name in (pair.first, pair.second)))
    found = {
        frozenset((pair.first, pair.second)): {
            "agreement": pair.agreement.value,
            "p95": pair.steps.p95,
            "max": pair.steps.max,
        }
        for pair in report.pairs
    }
    return [(name, [found.get(frozenset((name, other))) for other in names]) for name in names]


def _flipped(report: ParityReport, pixels: Pixels | None) -> list[_Flipped]:
    """The photos whose label differs under some artifact, the largest margin first."""
    predictions: dict[int, list[tuple[str, str, str, float]]] = {}
    label: dict[int, str | None] = {}
    for row in report.artifacts:
        for flip in row.comparison.flips if row.comparison else ():
            predictions.setdefault(flip.photo, []).append((row.path, flip.before, flip.after, flip.margin))
            label[flip.photo] = flip.label
    clearest = sorted(predictions, key=lambda photo: -max(found[3] for found in predictions[photo]))[:_MOST_PICTURES]
    return [_Flipped(photo, label[photo], _picture(pixels, photo), predictions[photo]) for photo in clearest]


def _picture(pixels: Pixels | None, photo: int) -> str | None:
    return None if pixels is None else thumbnail_uri(cv2.cvtColor(pixels[photo], cv2.COLOR_RGB2BGR), *_PICTURE)
