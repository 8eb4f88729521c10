"""The ratio of the latencies of two bundles on one device, measured alternately. Internal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError
from linnet_runtime.bench.compare_round import Round, RoundJob
from linnet_runtime.bench.conditions import Conditions
from linnet_runtime.bench.run import run_child

FEWEST_ROUNDS = 6
"""With fewer there is no 95 % interval: see ``shift_interval``."""
_ROUNDS, _MOST_ROUNDS, _ROUND_S = 10, 24, 2.0
_QUICK_ROUND_S = 0.5
_NARROW = 0.005


class Ratio(msgspec.Struct, frozen=True):
    """The median latency of the first bundle over that of the second, with its 95 % interval."""

    p50: float
    low: float | None
    """Null where fewer than six rounds were measured."""
    high: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What ``linnet bench --compare`` prints."""

    version: int
    interrupted: bool
    """Whether it was stopped before its last round."""
    host: dict[str, Any]
    bundles: tuple[str, str]
    devices: tuple[str, str]
    """The device that ran each bundle."""
    precisions: tuple[str, str]
    threads: int | None
    ratio: Ratio
    rounds: list[float]
    """The ratio of each round."""
    p50_ms: tuple[float, float]
    """The median latency of each bundle in milliseconds. The ratio is not computed from these."""
    conditions: Conditions


def run_rounds(job: RoundJob, *, quick: bool) -> Iterator[Round]:
    """Measures rounds until the interval of the ratio is at most 1 % wide: at least 10 and at most 24 of 2 s;
    ``quick``: 6 of 0.5 s.

    Each round is a separate process, because the places of a model in memory change its latency by up to 1 %, and
    the rounds open the two bundles in alternating order. The results have the order of ``job``.

    Raises:
        LinnetError: a bundle could not be run.
    """
    seconds = _QUICK_ROUND_S if quick else _ROUND_S
    ratios: list[float] = []
    for number in range(FEWEST_ROUNDS if quick else _MOST_ROUNDS):
        swapped = number % 2 == 1
        turned = _swapped(job) if swapped else job
        found = run_child("linnet_runtime.bench.compare_round", msgspec.structs.replace(turned, seconds=seconds))
        if "error" in found:
            raise LinnetError("linnet bench --compare", got=found["error"])
        measured = msgspec.convert(found, Round)
        if swapped:
            measured = Round(1 / measured.ratio, measured.p50[::-1], measured.devices[::-1], measured.quads)
        ratios.append(measured.ratio)
        yield measured
        if len(ratios) >= _ROUNDS and _is_narrow(ratio_of(ratios)):
            return


def ratio_of(ratios: list[float]) -> Ratio:
    """The ratio of all rounds. Raises ValueError where there is none."""
    middle, low, high = shift_interval(np.log(np.array(ratios)))
    if len(ratios) < FEWEST_ROUNDS:
        return Ratio(math.exp(middle), None, None)
    return Ratio(math.exp(middle), math.exp(low), math.exp(high))


def shift_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The middle of values, float64 [N], and its 95 % interval; with fewer than six values its coverage is below 95 %.

    J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests", Annals of Mathematical Statistics 34
    (1963): the median of the means of all pairs. The interval has the pairs that Wilcoxon's signed-rank test does not
    exclude. One bad round hardly changes either, and neither assumes a normal distribution.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no values")
    rows, columns = np.triu_indices(n)
    means = np.sort((values[rows] + values[columns]) / 2)
    ways = np.ones(1)  # the number of sets of ranks with each sum, of 2^n
    for rank in range(1, n + 1):
        longer = np.zeros(len(ways) + rank)
        longer[: len(ways)] += ways
        longer[rank:] += ways
        ways = longer / 2
    outside = max(int(np.searchsorted(np.cumsum(ways), 0.025, side="right")) - 1, 0)
    return float(np.median(means)), float(means[outside]), float(means[-1 - outside])


def _is_narrow(ratio: Ratio) -> bool:
    return ratio.low is not None and ratio.high is not None and ratio.high - ratio.low <= 2 * _NARROW * ratio.p50


def _swapped(job: RoundJob) -> RoundJob:
    return msgspec.structs.replace(job, bundles=job.bundles[::-1], precisions=job.precisions[::-1])
