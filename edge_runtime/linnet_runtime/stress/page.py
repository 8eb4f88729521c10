"""The page of a stress test: a curve and pictures for each corruption, in a single HTML file."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from linnet_devices.api import Pixels
from linnet_runtime.pages import render_page, thumbnail_uri
from linnet_runtime.stress.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from linnet_runtime.stress.measure import Row, Stress

_PICTURE = (84, 84)  # width and height on the page, in pixels
_WIDTH, _HEIGHT = 260, 120  # of a curve


@dataclass(frozen=True)
class _Shown:
    """A corruption on the page."""

    row: Row
    lines: dict[str, str]
    """The points of each model's curve in SVG, ``"x,y x,y"``."""
    pictures: list[str]
    """A photo at each severity, as data URIs."""


def render_stress(name: str, found: Stress, photo: Pixels, *, seed: int) -> str:
    """The page as HTML.

    Args:
        name: the name of the bundle, for the title.
        found: the figures.
        photo: the example, uint8 RGB [H, W, 3].
        seed: the seed of the measurement.
    """
    return render_page(
        "linnet_runtime.stress",
        name=name,
        found=found,
        judged=found.models[0],
        shown=[_Shown(row, _lines(row, found), _pictures(row.name, photo, seed)) for row in found.corruptions],
        width=_WIDTH,
        height=_HEIGHT,
        severities=SEVERITIES,
    )


def _lines(row: Row, found: Stress) -> dict[str, str]:
    """Severity 0 is without corruption."""
    lines = {}
    for model in found.models:
        values = [found.clean[model].value, *(cell.accuracy[model].value for cell in row.cells)]
        points = [(i * _WIDTH / len(row.cells), (1 - value) * _HEIGHT) for i, value in enumerate(values)]
        lines[model] = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return lines


def _pictures(name: str, photo: Pixels, seed: int) -> list[str]:
    corruption = next(corruption for corruption in CORRUPTIONS if corruption.name == name)
    pictures = [corrupt(photo[None], corruption, severity, seed)[0] for severity in SEVERITIES]
    return [thumbnail_uri(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), *_PICTURE) for picture in pictures]
