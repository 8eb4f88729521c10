"""Compares a measurement with an older one from the same machine. Internal."""

from __future__ import annotations

import math

from linnet_devices.api import LinnetError, Setting
from linnet_runtime.bench.latency import Interval
from linnet_runtime.bench.results import Change, Report, Row

_BETWEEN_PROCESSES = 0.005
"""The standard deviation of the logarithm of p50 between processes: a model has another place in memory. Measured with
two copies of one bundle in rounds of ``--compare``."""
_Z_95, _Z_80 = 1.959964, 0.841621  # the normal distribution's 97.5 % and 80 % points
_SAME_MACHINE = ("machine", "processor", "cores")


def check_same_machine(baseline: Report, host: dict[str, object]) -> None:
    """Raises LinnetError where the baseline is from another machine."""
    for key in _SAME_MACHINE:
        if baseline.host.get(key) != host.get(key):
            raise LinnetError(
                Setting("baseline"),
                got=f"{key} {baseline.host.get(key)}",
                expected=f"a measurement on this machine: {key} {host.get(key)}",
                fix=Setting("other_machine", True),
            )


def compare_rows(baseline: list[Row], rows: list[Row], limit: float) -> list[Change]:
    """The change of each row that the baseline has too, with the same device, scope, precision and number of threads.

    Args:
        baseline: the older rows.
        rows: the newer rows.
        limit: the share by which p50 may be larger, 0.05 for 5 %.

    Raises:
        LinnetError: they have no row in common.
    """
    older = {_key(row): row for row in baseline}
    changes = [_change(older[_key(row)], row, limit) for row in rows if _key(row) in older]
    found = [change for change in changes if change is not None]
    if not found:
        known = ", ".join(" ".join(map(str, key)) for key in older)
        raise LinnetError(Setting("baseline"), got=f"rows {known}", expected="a row that was measured now")
    return found


def _key(row: Row) -> tuple[object, ...]:
    return row.device, row.scope, row.precision, row.threads


def _change(old: Row, new: Row, limit: float) -> Change | None:
    before, after = old.latency_interval_ms, new.latency_interval_ms
    if old.latency_ms is None or new.latency_ms is None or before is None or after is None:
        return None
    logarithm = math.log(new.latency_ms.p50 / old.latency_ms.p50)
    error = math.hypot(_error(before["p50"]), _error(after["p50"]), math.sqrt(2) * _BETWEEN_PROCESSES)
    low = math.exp(logarithm - _Z_95 * error)
    return Change(
        device=new.device,
        scope=new.scope,
        ratio=math.exp(logarithm),
        low=low,
        high=math.exp(logarithm + _Z_95 * error),
        detectable=math.exp(max(math.log1p(limit), _Z_95 * error) + _Z_80 * error),
        failed=math.exp(logarithm) > 1 + limit and low > 1,
    )


def _error(interval: Interval) -> float:
    """The standard error of the logarithm of a value with this 95 % interval."""
    return math.log(interval.high / interval.low) / (2 * _Z_95)


def in_words(change: Change) -> str:
    """The change, and the smallest one that such measurements detect."""
    return (
        f"{change.device}, {change.scope}: p50 is {change.ratio:.3f} times the baseline's (95 % interval "
        f"{change.low:.3f} to {change.high:.3f}; four of five such measurements would detect {change.detectable:.3f})"
    )
