"""The rows of several reports side by side, by scope, and as Markdown. Internal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from linnet_runtime.bench.results import FailedRow, Report, Row, Scope
from linnet_runtime.bench.words import FIGURES, cells, notes

SCOPES: dict[Scope, str] = {
    "invoke": "a tensor to its logits",
    "frame": "a decoded frame to its label",
    "live": "the capture of a frame to its result",
}


@dataclass(frozen=True)
class Placed:
    """A row with the file and the machine that it comes from."""

    file: str
    """The file's name without its ending; empty where there is one report only."""
    report: Report
    row: Row

    @property
    def name(self) -> str:
        """A name that distinguishes the row from the others of its scope."""
        return " ".join(part for part in (self.file, self.row.device, self.row.artifact) if part)


def rows_of(reports: Mapping[str, Report], scope: Scope) -> list[Placed]:
    """The measured rows of a scope, the fastest first and those without a latency last."""
    placed = [
        Placed(file, report, row) for file, report in reports.items() for row in report.rows if row.scope == scope
    ]
    return sorted(placed, key=lambda each: each.row.latency_ms.p50 if each.row.latency_ms else float("inf"))


def pareto_front(rows: list[Placed]) -> list[Placed]:
    """The rows that no other one beats in both top-1 and p50, the fastest first."""
    front: list[Placed] = []
    for placed in sorted(_judged(rows), key=lambda each: (_p50(each), -_top1(each))):
        if not front or _top1(placed) > _top1(front[-1]):
            front.append(placed)
    return front


def _judged(rows: list[Placed]) -> list[Placed]:
    return [placed for placed in rows if placed.row.latency_ms and placed.row.accuracy]


def _p50(placed: Placed) -> float:
    return placed.row.latency_ms.p50 if placed.row.latency_ms else float("inf")


def _top1(placed: Placed) -> float:
    return placed.row.accuracy.top1 if placed.row.accuracy else 0.0


def machine_of(report: Report) -> str:
    """The processor and its cores, in words."""
    return f"{report.host.get('processor') or report.host.get('machine')}, {report.host.get('cores')} cores"


def failures(reports: Mapping[str, Report]) -> list[tuple[str, FailedRow]]:
    """The rows that could not be measured, each with its file."""
    return [(file, row) for file, report in reports.items() for row in report.results if isinstance(row, FailedRow)]


def warnings_of(reports: Mapping[str, Report]) -> list[str]:
    """The notes that limit the figures."""
    found = [f"{file or 'the benchmark'} was interrupted" for file, report in reports.items() if report.interrupted]
    for scope in SCOPES:
        for placed in rows_of(reports, scope):
            found += [f"{placed.name}, {scope}: {note}" for note in notes(placed.row)]
    return found + [
        f"{file} {row.device}, {row.scope}: not run: {row.error}".strip() for file, row in failures(reports)
    ]


def markdown_of(reports: Mapping[str, Report]) -> str:
    """A table for each scope, the notes and the machines."""
    return "\n".join(_markdown_lines(reports)) + "\n"


def _markdown_lines(reports: Mapping[str, Report]) -> Iterator[str]:
    several = len(reports) > 1
    headings = [*(["file"] if several else []), "device", "artifact", *FIGURES]
    left = len(headings) - len(FIGURES)
    for scope, words in SCOPES.items():
        rows = rows_of(reports, scope)
        if not rows:
            continue
        yield from (f"**{scope}**: {words}", "", _line(headings), _line(["---"] * left + ["---:"] * len(FIGURES)))
        for placed in rows:
            row = placed.row
            yield _line([*([placed.file] if several else []), row.device, row.artifact, *cells(row)])
        yield ""
    yield from (f"- {line}" for line in warnings_of(reports))
    for file, report in reports.items():
        when = f"profile {report.profile}, {report.started_at}"
        yield f"- {file or report.bundle}: {report.bundle} on {machine_of(report)}, {report.host.get('system')}, {when}"


def _line(parts: list[str]) -> str:
    return "| " + " | ".join(part.replace("|", "\\|") for part in parts) + " |"
