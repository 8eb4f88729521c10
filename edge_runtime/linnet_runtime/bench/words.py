"""A row's figures and what limits them, as text for the terminal, Markdown and the page. Internal."""

from __future__ import annotations

from collections.abc import Sequence

from linnet_runtime.bench.results import SIMULATED, Row

FIGURES = ("p50 ms", "p90", "p99", "max", "per second", "load ms", "MiB", "top-1")
_NONE = "-"


def cells(row: Row) -> tuple[str, ...]:
    """The row's ``FIGURES``."""
    latency = row.latency_ms
    times = [f"{value:.3f}" for value in (latency.p50, latency.p90, latency.p99, latency.max)] if latency else []
    return (
        *(times or ["simulated", *[_NONE] * 3]),
        _NONE if row.throughput_fps is None else f"{row.throughput_fps:.0f}",
        _NONE if row.load_ms is None else f"{row.load_ms:.0f}",
        f"{row.peak_rss_mb:.0f}",
        f"{row.accuracy.top1:.4f}" if row.accuracy else _NONE,
    )


def notes(row: Row) -> list[str]:
    """The notes that limit the row's figures."""
    found = []
    if row.tier in SIMULATED:
        found.append(f"{row.tier}: its latency says nothing about the hardware, and is not shown")
    elif row.tier != "hardware":
        found.append(f"{row.tier}: this is not the latency of the hardware")
    if row.steady is False:
        found.append("the latency was not steady: p90 still changed by more than 5 %")
    if row.conditions and row.conditions.noisy:
        again = "; a second measurement was no quieter" if row.attempts > 1 else ""
        found.append(f"noisy: other programs used {row.conditions.other_load:.1f} cores{again}")
    if row.conditions and row.conditions.throttled:
        found.append(f"throttled: the clock fell to {row.conditions.lowest_frequency_mhz:.0f} MHz")
    return found


def note_lines(rows: Sequence[Row]) -> list[str]:
    """The notes of all rows, each with its device."""
    return [f"{row.device}, {row.scope}: {note}" for row in rows for note in notes(row)]
