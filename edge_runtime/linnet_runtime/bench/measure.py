"""One row of the benchmark, measured in a separate process so that its memory and load time are that row's alone.

Run as ``python -m linnet_runtime.bench.measure LIFE`` with a ``Job`` as a line of JSON on standard input, followed by
the photos' pixels. It prints the row as JSON, or ``{"error": …}`` with exit status 1. LIFE is the descriptor of a pipe
that closes when the parent ends.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, OpenOptions, Pixels, Session, Tier
from linnet_devices.lifeline import end_with
from linnet_runtime.bench.latency import latency_intervals, latency_summary
from linnet_runtime.bench.results import SIMULATED, Accuracy, Row, Scope
from linnet_runtime.bench.scopes import Measurement, time_frames, time_inferences, time_live
from linnet_runtime.bench.timing import Profile
from linnet_runtime.bundle import Artifact, Bundle, open_bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.proof.intervals import wilson_interval
from linnet_runtime.sessions import PrecisionChoice, open_session

_PICTURES = 16  # too many for a cache to hold the answers
_NOISE, _PHOTOS = "noise", "photos"
_UNTIMED = Profile("untimed", warm_up_s=0.0, seconds=0.0)  # a simulator takes long


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measurement."""

    bundle: str
    """The bundle's folder."""
    device: str
    precision: PrecisionChoice
    threads: int | None
    """The number of threads of a CPU engine; None for the engine's default."""
    labels: tuple[int, ...]
    """The label of each photo on standard input, an index into the model's labels; without photos no accuracy is
    measured."""
    profile: Profile
    scope: Scope = "invoke"
    tier: Tier = "hardware"
    """The tier of the device, from its probe."""
    frames: tuple[bytes, ...] = ()
    """Paths of pictures for the scope ``"frame"``, as bytes, because a name need not be UTF-8; without them they are
    rendered."""


@dataclass(frozen=True)
class _Opened:
    """A classifier, and how long its opening and its first inference took."""

    classifier: Classifier
    load_ms: float
    first_ms: float


def measure(job: Job, photos: BinaryIO) -> Row:
    """Opens the bundle, measures its latency and then classifies the photos."""
    bundle = open_bundle(Path(job.bundle))
    shape = (bundle.preprocess.height, bundle.preprocess.width, 3)
    # The other photos are read later: a small device cannot hold them in memory.
    shown = _read_pixels(photos, min(len(job.labels), _PICTURES), shape)
    pictures = shown if len(shown) else _noise(shape)
    started = time.perf_counter()
    session = open_session(bundle, job.device, precision=job.precision, options=OpenOptions(job.threads))
    load_ms = (time.perf_counter() - started) * 1e3
    with Classifier(bundle, session) as classifier:
        first = time.perf_counter()
        session.run(pictures[:1])
        first_ms = (time.perf_counter() - first) * 1e3
        measured = _time(job, classifier, pictures)
        accuracy = None
        if job.labels:
            rest = _read_pixels(photos, len(job.labels) - len(shown), shape)
            accuracy = _accuracy(session, np.concatenate([shown, rest]), np.array(job.labels))
        source = _PHOTOS if pictures is shown else _NOISE
        return _row(job, _Opened(classifier, load_ms, first_ms), measured, source, accuracy)


def _time(job: Job, classifier: Classifier, pictures: Pixels) -> Measurement:
    """The latencies in the job's scope, and the peak memory after the warm-up."""
    profile = _UNTIMED if job.tier in SIMULATED else job.profile
    if job.scope == "frame":
        return time_frames(classifier, profile, job.frames)
    if job.scope == "live":
        return time_live(classifier, profile)
    return time_inferences(classifier.session, pictures, profile)


def _row(job: Job, opened: _Opened, measured: Measurement, pictures: str, accuracy: Accuracy | None) -> Row:
    session, seconds = opened.classifier.session, measured.timed.seconds
    artifact = _artifact(opened.classifier.bundle, session)
    real = job.tier not in SIMULATED  # the time of a simulator says nothing about the hardware
    return Row(
        device=session.device,
        artifact=Path(session.model.path).name,
        precision=session.model.precision,
        threads=job.threads,
        scope=job.scope,
        tier=job.tier,
        state="warm",
        latency_ms=latency_summary(seconds) if real else None,
        latency_interval_ms=latency_intervals(seconds) if real else None,
        stages_ms=measured.stages_ms if real else None,
        percentiles_ms=(np.percentile(seconds, np.arange(101)) * 1e3).tolist() if real else None,
        windows=measured.timed.windows if real else [],
        steady=measured.timed.steady if real else None,
        runs=len(seconds),
        throughput_fps=measured.throughput_fps if real else None,
        load_ms=opened.load_ms if real else None,
        first_ms=opened.first_ms if real else None,
        peak_rss_mb=measured.peak_rss_mb,
        artifact_bytes=artifact.bytes + (artifact.weights.bytes if artifact.weights else 0),
        artifact_sha256=artifact.sha256,
        pictures=measured.pictures or pictures,
        accuracy=accuracy,
    )


def _artifact(bundle: Bundle, session: Session) -> Artifact:
    return next(each for each in bundle.artifacts if each.model().path == session.model.path)


def _noise(shape: tuple[int, ...]) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (_PICTURES, *shape), dtype=np.uint8)


def _read_pixels(file: BinaryIO, n: int, shape: tuple[int, ...]) -> Pixels:
    return np.frombuffer(file.read(n * int(np.prod(shape))), np.uint8).reshape(n, *shape)


def _accuracy(session: Session, pixels: Pixels, labels: NDArray[np.int64]) -> Accuracy:
    best_five = np.argsort(-session.run(pixels), axis=1, kind="stable")[:, :5]
    correct = best_five == labels[:, None]
    low, high = wilson_interval(int(correct[:, 0].sum()), len(labels))
    return Accuracy(
        top1=float(correct[:, 0].mean()),
        top5=float(correct.any(axis=1).mean()),
        n=len(labels),
        top1_low=low,
        top1_high=high,
    )


def main() -> int:
    """Reads a job, prints its row and returns the exit status."""
    end_with(int(sys.argv[1]))
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    row: Row | dict[str, str]
    try:
        row = measure(job, sys.stdin.buffer)
    except LinnetError as error:
        row = {"error": error.line(options=True)}
    sys.stdout.buffer.write(msgspec.json.encode(row))
    return 1 if isinstance(row, dict) else 0


if __name__ == "__main__":
    sys.exit(main())
