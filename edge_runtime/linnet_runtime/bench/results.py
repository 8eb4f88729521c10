"""What ``linnet bench --json`` prints, and reading it back. Internal.

The keys are a contract: keys are added, and none is renamed. ``docs/bench.schema.json`` is made from these types.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from linnet_devices.api import LinnetError, Tier
from linnet_runtime.bench.conditions import Conditions
from linnet_runtime.bench.latency import Interval, Latency
from linnet_runtime.bench.timing import Window
from linnet_runtime.files.folders import read_regular

VERSION = 1
_MOST_BYTES = 64 << 20

Scope = Literal["invoke", "frame", "live"]
"""What a latency includes. ``"invoke"``: pixels of the model's size to logits. ``"frame"``: a decoded picture of a
camera's size to its label. ``"live"``: the capture of a frame by a camera to its published result, which is the frame's
age. The scopes are never compared with each other."""


SIMULATED: tuple[Tier, ...] = ("simulator", "emulation")
"""The tiers whose latency says nothing about the hardware."""


class Accuracy(msgspec.Struct, frozen=True):
    """The accuracy on the labelled photos, in the same process as the latency."""

    top1: float
    top5: float
    n: int
    top1_low: float
    """The lower end of the 95 % interval of ``top1``."""
    top1_high: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement."""

    device: str
    artifact: str
    """The name of the model's file."""
    precision: str
    threads: int | None
    """Null is the engine's default."""
    scope: Scope
    tier: Tier
    """What ran the model. Nothing is timed where it is ``SIMULATED``."""
    state: Literal["warm"]
    latency_ms: Latency | None
    latency_interval_ms: dict[str, Interval] | None
    """The 95 % intervals of ``p50`` and ``p90``."""
    stages_ms: dict[str, Latency] | None
    """The latency of each stage, in the scopes ``frame`` and ``live``."""
    percentiles_ms: list[float] | None
    """The percentiles 0, 1 ... 100 of the latency."""
    windows: list[Window]
    steady: bool | None
    """Whether the p90 of the last three windows differ by at most 5 % from their median."""
    runs: int
    """The number of inferences or frames that were timed."""
    throughput_fps: float | None
    load_ms: float | None
    first_ms: float | None
    """The first inference after loading."""
    peak_rss_mb: float
    """The peak resident memory of the measuring process in MiB, with that of the device's process."""
    artifact_bytes: int
    """The size of the model's files."""
    artifact_sha256: str
    pictures: str
    """What was classified in the measurement: ``"noise"``, ``"photos"``, ``"rendered 640x480"``."""
    accuracy: Accuracy | None
    conditions: Conditions | None = None
    attempts: int = 1
    """How often the row was measured: a noisy one is measured again, and the quieter one is kept."""


class FailedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement that could not be done."""

    device: str
    precision: str
    scope: Scope
    error: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The p50 of a row against that of the same row in the baseline."""

    device: str
    scope: Scope
    ratio: float
    """New over old: above 1 is slower."""
    low: float
    """The lower end of its 95 % interval, from the intervals of both measurements."""
    high: float
    detectable: float
    """The smallest ratio that four of five such pairs of measurements would report as a failure."""
    failed: bool
    """Whether the ratio is above the limit, and its interval is above 1."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What ``linnet bench --json`` prints."""

    version: int
    started_at: str
    """UTC, in ISO 8601."""
    interrupted: bool
    """Whether the benchmark was stopped before its last row."""
    profile: str
    """``"default"``, ``"mlperf"`` or ``"quick"``."""
    bundle: str
    """The bundle's name; each row has the hash of its model."""
    host: dict[str, Any]
    results: list[Any]
    """``Row`` or, with the key ``error``, ``FailedRow``: msgspec has no such type."""

    baseline: list[Change] | None = None
    """The change of each row against the file of ``--baseline``."""

    @property
    def rows(self) -> list[Row]:
        """The rows that were measured."""
        return [row for row in self.results if isinstance(row, Row)]


def row_of(found: object) -> Row | FailedRow:
    """A row from its JSON. Raises msgspec.ValidationError, which has the JSON path."""
    if isinstance(found, dict) and "error" in found:
        return msgspec.convert(found, FailedRow)
    return msgspec.convert(found, Row)


def read_report(path: Path) -> Report:
    """Reads a file that ``linnet bench --json`` has written.

    Raises:
        LinnetError: it is another file, or one of another version.
    """
    expected = f"what linnet bench --json prints, version {VERSION}"
    try:
        report = msgspec.json.decode(read_regular(path, _MOST_BYTES), type=Report)
        rows = [row_of(row) for row in report.results]
    except OSError as error:
        raise LinnetError(str(path), got=error.strerror or str(error), expected=expected) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LinnetError(str(path), got=str(error), expected=expected) from error
    if report.version != VERSION:
        raise LinnetError(str(path), got=f"version {report.version}", expected=expected)
    return msgspec.structs.replace(report, results=rows)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    (report,), parts = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    rows, more = msgspec.json.schema_components([Row, FailedRow], ref_template="#/$defs/{name}")
    parts |= more
    parts["Report"]["properties"]["results"]["items"] = {"anyOf": list(rows)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **report, "$defs": parts}
