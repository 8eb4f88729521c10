"""The page of one or more benchmarks, in a single HTML file. Internal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from linnet_runtime.bench.merge import SCOPES, Placed, machine_of, pareto_front, rows_of, warnings_of
from linnet_runtime.bench.results import Report, Scope
from linnet_runtime.bench.words import FIGURES, cells
from linnet_runtime.pages import render_page

_WIDTH, _HEIGHT = 260, 110  # the size of a curve
_MAP_WIDTH, _MAP_HEIGHT = 560, 260  # the map of accuracy against latency
_MARGIN = 8  # from the points to the edges of the map


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis of milliseconds."""

    low: float
    high: float

    def share(self, ms: float) -> float:
        """0 at ``low`` and 1 at ``high``."""
        return math.log(max(ms, self.low) / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True)
class _Card:
    """A row on the page."""

    placed: Placed
    distribution: str
    """The points of the curve in SVG: latency to the right, the share of the latencies below it upwards."""
    p50: str
    """The points of the curve in SVG: the p50 of each window over time."""
    p90: str
    stages: dict[str, float]
    """The p50 of each stage as a percentage of the sum of all stages."""


@dataclass(frozen=True)
class _Point:
    """A row in the map of accuracy against latency."""

    name: str
    x: float
    y: float
    best: bool
    """Whether the row is on the Pareto front."""


@dataclass(frozen=True)
class _Section:
    """A scope on the page."""

    scope: str
    words: str
    rows: list[Placed]
    fastest: Placed | None
    """The fastest row that ran on hardware."""
    cards: list[_Card]
    axis: _Axis
    map_axis: _Axis
    points: list[_Point]
    front: str
    """The points of the Pareto front in SVG."""
    accuracies: tuple[float, float]
    """The lower and the upper end of the map."""


def render_bench(reports: Mapping[str, Report]) -> str:
    """The page as HTML. The reports by the names of their files; a single one may have an empty name."""
    sections = [_section(reports, scope, words) for scope, words in SCOPES.items() if rows_of(reports, scope)]
    return render_page(
        "linnet_runtime.bench",
        reports=reports,
        sections=sections,
        warnings=warnings_of(reports),
        figures=FIGURES,
        cells=cells,
        machine_of=machine_of,
        width=_WIDTH,
        height=_HEIGHT,
        map_width=_MAP_WIDTH,
        map_height=_MAP_HEIGHT,
    )


def _section(reports: Mapping[str, Report], scope: Scope, words: str) -> _Section:
    rows = rows_of(reports, scope)
    timed = [placed for placed in rows if placed.row.latency_ms]
    axis = _axis(value for placed in timed for value in placed.row.percentiles_ms or [])
    map_axis = _axis(placed.row.latency_ms.p50 for placed in timed if placed.row.latency_ms)
    points, front, accuracies = _map(timed, map_axis)
    cards = [_card(placed, axis) for placed in timed]
    fastest = next((placed for placed in timed if placed.row.tier == "hardware"), None)
    return _Section(scope, words, rows, fastest, cards, axis, map_axis, points, front, accuracies)


def _axis(values: Iterable[float]) -> _Axis:
    found = [value for value in values if value > 0] or [1.0]
    return _Axis(min(found) / 1.05, max(found) * 1.05)


def _card(placed: Placed, axis: _Axis) -> _Card:
    row = placed.row
    percentiles = row.percentiles_ms or []
    distribution = [(axis.share(ms) * _WIDTH, (1 - i / 100) * _HEIGHT) for i, ms in enumerate(percentiles)]
    starts = [window.start_s for window in row.windows]
    last = max(starts, default=0.0) or 1.0

    def over_time(values: list[float]) -> str:
        points = [
            (start / last * _WIDTH, (1 - axis.share(ms)) * _HEIGHT) for start, ms in zip(starts, values, strict=True)
        ]
        return _svg(points)

    stages = {stage: latency.p50 for stage, latency in (row.stages_ms or {}).items()}
    total = sum(stages.values()) or 1.0
    return _Card(
        placed,
        _svg(distribution),
        over_time([window.p50 for window in row.windows]),
        over_time([window.p90 for window in row.windows]),
        {stage: 100 * ms / total for stage, ms in stages.items()},
    )


def _map(rows: list[Placed], axis: _Axis) -> tuple[list[_Point], str, tuple[float, float]]:
    """Accuracy against p50. One row needs no map."""
    judged = [placed for placed in rows if placed.row.accuracy]
    if len(judged) < 2:
        return [], "", (0.0, 1.0)
    best = pareto_front(judged)
    accuracies = [placed.row.accuracy.top1 for placed in judged if placed.row.accuracy]
    low, high = max(0.0, min(accuracies) - 0.01), min(1.0, max(accuracies) + 0.01)

    def place(placed: Placed) -> tuple[float, float]:
        latency, accuracy = placed.row.latency_ms, placed.row.accuracy
        x = axis.share(latency.p50 if latency else axis.high)
        y = ((accuracy.top1 if accuracy else low) - low) / (high - low)
        return _inside(x, _MAP_WIDTH), _inside(1 - y, _MAP_HEIGHT)

    points = [_Point(placed.name, *place(placed), placed in best) for placed in judged]
    return points, _svg([place(placed) for placed in best]), (low, high)


def _inside(share: float, size: int) -> float:
    return _MARGIN + float(np.clip(share, 0, 1)) * (size - 2 * _MARGIN)


def _svg(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
