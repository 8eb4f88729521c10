"""One round of a comparison: two bundles in a separate process, in short alternating blocks.

Run as ``python -m linnet_runtime.bench.compare_round LIFE`` with a ``RoundJob`` as JSON on standard input; see
``linnet_runtime.bench.measure``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from linnet_devices.api import LinnetError, OpenOptions, Pixels
from linnet_devices.lifeline import end_with
from linnet_runtime.bench.latency import Seconds
from linnet_runtime.bundle import open_bundle
from linnet_runtime.sessions import PrecisionChoice, open_session

_PICTURES = 16
_WARM_UP_S = 0.2
_FEWEST_WARM_UPS = 5
_BLOCK_S = 0.003  # shorter than a scheduler's time slice, so that most blocks are not interrupted
_BLOCK_RUNS = (3, 15)
_FEWEST_QUADS = 4


class RoundJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A round of a comparison."""

    bundles: tuple[str, str]
    """The folders, in the order in which they are opened and first run."""
    precisions: tuple[PrecisionChoice, PrecisionChoice]
    device: str
    threads: int | None
    seconds: float


class Round(msgspec.Struct, frozen=True):
    """The result of a round. The bundles are in the order of the job."""

    ratio: float
    """The latency of the first bundle over that of the second."""
    p50: tuple[float, float]
    """The median latency of each bundle in milliseconds."""
    devices: tuple[str, str]
    quads: int


def measure_round(job: RoundJob) -> Round:
    """Opens both bundles and times them in quadruples of blocks, ABBA and then BAAB, for the seconds of the job.

    In a quadruple a drift of the clock or of the machine's load cancels out. Its ratio is that of the medians of
    its blocks, and the round's ratio is the median of them, so that a block that another program interrupts does not
    count.
    """
    options = OpenOptions(job.threads)
    first, second = (open_bundle(Path(bundle)) for bundle in job.bundles)
    with (
        open_session(first, job.device, precision=job.precisions[0], options=options) as session_a,
        open_session(second, job.device, precision=job.precisions[1], options=options) as session_b,
    ):
        sides = []
        for bundle, session in ((first, session_a), (second, session_b)):
            size = (_PICTURES, bundle.preprocess.height, bundle.preprocess.width, 3)
            pictures = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
            sides.append((session.run, pictures))
        typical = max(_warm_up(*side) for side in sides)
        runs = int(np.clip(_BLOCK_S / typical, *_BLOCK_RUNS))
        ratios: list[float] = []
        medians: list[tuple[float, float]] = []
        end = time.perf_counter() + job.seconds
        while len(ratios) < _FEWEST_QUADS or time.perf_counter() < end:
            order = (0, 1, 1, 0) if len(ratios) % 2 == 0 else (1, 0, 0, 1)
            found: tuple[list[float], list[float]] = ([], [])
            for side in order:
                found[side].append(float(np.median(_block(*sides[side], runs))))
            ratios.append(float(np.log(found[0]).mean() - np.log(found[1]).mean()))
            medians.append((float(np.mean(found[0])), float(np.mean(found[1]))))
        a_ms, b_ms = np.median(medians, axis=0) * 1e3
        return Round(
            ratio=float(np.exp(np.median(ratios))),
            p50=(float(a_ms), float(b_ms)),
            devices=(session_a.device, session_b.device),
            quads=len(ratios),
        )


def _block(run: Callable[[Pixels], object], pictures: Pixels, runs: int) -> Seconds:
    """The latencies of a block, after one untimed inference that brings the model back into the processor's caches."""
    times = []
    for i in range(runs + 1):
        picture = pictures[i % len(pictures)][None]
        started = time.perf_counter()
        run(picture)
        times.append(time.perf_counter() - started)
    return np.array(times[1:])


def _warm_up(run: Callable[[Pixels], object], pictures: Pixels) -> float:
    """The median latency of the warm-up in seconds."""
    blocks: list[float] = []
    end = time.perf_counter() + _WARM_UP_S
    while len(blocks) < _FEWEST_WARM_UPS or time.perf_counter() < end:
        blocks.append(float(np.median(_block(run, pictures, 1))))
    return float(np.median(blocks))


def main() -> int:
    """Reads a job, prints its result and returns the exit status."""
    end_with(int(sys.argv[1]))
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=RoundJob)
    found: Round | dict[str, str]
    try:
        found = measure_round(job)
    except LinnetError as error:
        found = {"error": error.line(options=True)}
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 1 if isinstance(found, dict) else 0


if __name__ == "__main__":
    sys.exit(main())
