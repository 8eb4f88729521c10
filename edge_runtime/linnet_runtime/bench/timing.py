"""Times one call after the other until its latency is steady. Internal."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from linnet_runtime.bench.latency import Seconds, is_steady

Run = Callable[[int], float]
"""Runs the measured work on the picture with that number, and returns its latency in seconds."""

_FEWEST_RUNS = 20  # also in the warm-up
_WINDOWS = 10  # in the shortest measurement


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a row is measured."""

    name: str
    warm_up_s: float
    """Seconds before the measurement."""
    seconds: float
    """The fewest seconds of the measurement."""
    runs: int = _FEWEST_RUNS
    """The fewest inferences of the measurement."""
    limit: float = 1.0
    """Where the latency is not steady, the measurement goes on for at most so many times as long."""
    repeats_noisy: bool = True
    """Whether a row that other programs have disturbed is measured again."""


QUICK = Profile("quick", warm_up_s=0.2, seconds=1.0, repeats_noisy=False)
DEFAULT = Profile("default", warm_up_s=1.0, seconds=10.0, runs=1024, limit=3.0)
MLPERF = Profile("mlperf", warm_up_s=1.0, seconds=60.0, runs=1024, limit=3.0)
"""The fewest inferences and seconds of a single stream in MLPerf Inference."""


class Window(msgspec.Struct, frozen=True):
    """A part of a measurement."""

    start_s: float
    """Seconds since the measurement began."""
    runs: int
    p50: float
    """In milliseconds."""
    p90: float
    """In milliseconds."""


@dataclass(frozen=True)
class Timed:
    """The latencies of a measurement."""

    seconds: Seconds
    """float64 [N], in the order of their measurement, none left out."""
    windows: list[Window]
    steady: bool
    """Whether the last windows agree: ``is_steady``."""
    elapsed_s: float
    """The time of the whole measurement."""


def warm_up(run: Run, profile: Profile) -> None:
    """Calls ``run`` with 0, 1, 2 ... for the warm-up's time and at least 20 times."""
    end, i = time.perf_counter() + profile.warm_up_s, 0
    while i < _FEWEST_RUNS or time.perf_counter() < end:
        run(i)
        i += 1


def time_runs(run: Run, profile: Profile) -> Timed:
    """The latencies of ``run``, which is called with 0, 1, 2 ..., in windows of a tenth of the profile's seconds and
    calls.

    The measurement ends at the first window after the profile's fewest seconds and calls with which the latency is
    steady. It also ends, not steady, when ``profile.limit`` times as long has passed as these took.
    """
    times = array("d")  # a list would take four times the memory
    windows: list[Window] = []
    started = opened = time.perf_counter()
    first, fewest_after = 0, 0.0
    while True:
        times.append(run(len(times)))
        now = time.perf_counter()
        if len(times) - first < profile.runs / _WINDOWS or now - opened < profile.seconds / _WINDOWS:
            continue
        windows.append(_window(times[first:], opened - started))
        opened, first = now, len(times)
        if len(times) < profile.runs or now - started < profile.seconds:
            continue
        fewest_after = fewest_after or now - started
        steady = is_steady([window.p90 for window in windows])
        if steady or now - started >= profile.limit * fewest_after:
            return Timed(np.array(times), windows, steady, now - started)


def _window(times: Sequence[float], start_s: float) -> Window:
    p50, p90 = np.percentile(np.array(times) * 1e3, (50, 90))
    return Window(start_s, len(times), float(p50), float(p90))
