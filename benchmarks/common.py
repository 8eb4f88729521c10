"""What the benchmarks share: timing side by side, and the report."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

# The runtime is imported where it is used: the memory that a child process reports begins at its parent's, so that
# cold_start.py has to stay small.

Row = dict[str, object]

ENGINES = ("cpu:litert", "cpu:onnx", "cpu:openvino")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with a script's docstring as its help, and ``--out``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures to this file as JSON")
    return parser


def training_arguments(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """``arguments``, and those of a network whose training steps are timed."""
    parser = arguments(description)
    parser.add_argument("--alpha", type=float, default=0.35, help="width multiplier")
    parser.add_argument("--size", type=int, default=160, help="height and width of the input in pixels")
    parser.add_argument("--batch-size", type=int, default=32, help="photos in a step")
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each")
    parser.add_argument("--repeats", type=int, default=2, help="steps in a turn")
    return parser


def time_side_by_side(calls: Mapping[str, Callable[[], object]], rounds: int, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of one call by its name, a value a round: the median of ``repeats`` calls in a row.

    The calls take turns round by round, so that whatever else the machine does slows all of them alike. A ratio is
    then taken within each round, and the median of those is the result (``median_ratio``).
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for measured in (False, *[True] * rounds):  # the first round warms up
        for name, call in calls.items():
            seconds = []
            for _ in range(repeats):
                started = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - started)
            if measured:
                times[name].append(median(seconds) * 1e3)
    return times


def median_ratio(times: Sequence[float], base: Sequence[float]) -> float:
    """The median over the rounds of one time divided by the other."""
    return median(a / b for a, b in zip(times, base, strict=True))


def report(tables: Mapping[str, list[Row]], out: Path | None) -> None:
    """Prints tables by their titles, the keys of each first row as its headings; writes ``{"host", "tables"}``."""
    import msgspec

    from linnet_runtime.commands.tables import plain_table, print_table
    from linnet_runtime.files.folders import write_whole
    from linnet_runtime.machine import host

    for title, rows in tables.items():
        words = [key for key, value in rows[0].items() if isinstance(value, str)]
        figures = [key for key in rows[0] if key not in words]
        table = plain_table("", tuple(words), tuple(figures))
        for row in rows:
            table.add_row(*(_cell(row[key]) for key in (*words, *figures)))
        print(f"\n{title}")
        print_table(table)
    if out is not None:
        figures_json = msgspec.json.encode({"host": host(), "tables": tables})
        write_whole(out, msgspec.json.format(figures_json, indent=2) + b"\n")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
