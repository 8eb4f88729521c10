"""Measures latencies: a tensor to its logits, a frame to its label, or a camera's frame to its result. Internal."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, Pixels, Session
from linnet_devices.isolated import IsolatedSession
from linnet_runtime.bench.latency import Latency, latency_summary
from linnet_runtime.bench.timing import Profile, Run, Timed, time_runs, warm_up
from linnet_runtime.classifier import Classifier
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.preprocess import PictureError, read_picture
from linnet_runtime.sources.conveyor import ConveyorSource
from linnet_runtime.synthetic.conveyor import conveyor_frames

_FRAMES = 16
_MOST_BYTES = 100 << 20  # a device has little memory
_CAMERA_FPS = 30.0
_RENDERED = "rendered 640x480"


@dataclass(frozen=True)
class Measurement:
    """The latencies in one scope."""

    timed: Timed
    peak_rss_mb: float
    """The peak resident memory after the warm-up, in MiB."""
    throughput_fps: float
    stages_ms: dict[str, Latency] | None = None
    pictures: str = ""
    """What the frames show; empty where the caller chose the pictures."""


class _Stages:
    """The time of each stage, of one frame after the other."""

    def __init__(self) -> None:
        self._ms: dict[str, list[float]] = defaultdict(list)

    def add(self, stages_ms: Mapping[str, float]) -> None:
        for stage, ms in stages_ms.items():
            self._ms[stage].append(ms)

    def clear(self) -> None:
        self._ms.clear()

    def summary(self) -> dict[str, Latency]:
        return {stage: latency_summary(np.array(ms) / 1e3) for stage, ms in self._ms.items()}


def time_inferences(session: Session, pictures: Pixels, profile: Profile) -> Measurement:
    """``invoke``: from pixels of the model's size, uint8 [N, H, W, 3], to logits, one picture at a time."""

    def run(i: int) -> float:
        picture = pictures[i % len(pictures)][None]
        started = time.perf_counter()
        session.run(picture)
        return time.perf_counter() - started

    peak_rss_mb = _warm_up(run, profile, session)
    timed = time_runs(run, profile)
    return Measurement(timed, peak_rss_mb, _one_after_another(timed))


def time_frames(classifier: Classifier, profile: Profile, photos: tuple[bytes, ...]) -> Measurement:
    """``frame``: from a decoded picture to its label, with the time of each stage. ``photos`` are paths of pictures to
    use; without them frames are rendered.
    """
    read = _read_frames(photos)
    frames = read or [frame for frame, _ in conveyor_frames(0, _FRAMES)]
    stages = _Stages()

    def run(i: int) -> float:
        started = time.perf_counter()
        result = classifier.classify(frames[i % len(frames)], color="bgr")
        seconds = time.perf_counter() - started
        stages.add(result.stages_ms)
        return seconds

    peak_rss_mb = _warm_up(run, profile, classifier.session)
    stages.clear()
    timed = time_runs(run, profile)
    return Measurement(timed, peak_rss_mb, _one_after_another(timed), stages.summary(), "photos" if read else _RENDERED)


def time_live(classifier: Classifier, profile: Profile) -> Measurement:
    """``live``: from the capture of a frame to its result, which is the frame's age, with a rendered camera of 30
    frames/s. Only its newest frame is classified, as in ``linnet run``.
    """
    stages = _Stages()
    with Pipeline(lambda: ConveyorSource(_CAMERA_FPS), classifier) as live:
        results = iter(live)

        def run(_: int) -> float:
            result = next(results)
            stages.add(result.stages_ms)
            return result.age_ms / 1e3

        peak_rss_mb = _warm_up(run, profile, classifier.session)
        stages.clear()
        timed = time_runs(run, profile)
    rate = len(timed.seconds) / timed.elapsed_s
    return Measurement(timed, peak_rss_mb, rate, stages.summary(), f"{_RENDERED}, {_CAMERA_FPS:g} frames/s")


def _read_frames(photos: tuple[bytes, ...]) -> list[NDArray[np.uint8]]:
    """Pictures, uint8 BGR [H, W, 3], up to a number and a size. The caller has named those that cannot be read."""
    frames: list[NDArray[np.uint8]] = []
    for path in photos:
        with contextlib.suppress(PictureError):
            frames.append(read_picture(os.fsdecode(path)))
        if len(frames) == _FRAMES or sum(frame.nbytes for frame in frames) > _MOST_BYTES:
            break
    return frames


def _warm_up(run: Run, profile: Profile, session: Session) -> float:
    """The peak memory after it. What follows only adds the list of the latencies."""
    warm_up(run, profile)
    device_mb = _peak_rss_mb(session.pid) if isinstance(session, IsolatedSession) else 0
    return _peak_rss_mb("self") + device_mb


def _one_after_another(timed: Timed) -> float:
    return float(len(timed.seconds) / timed.seconds.sum())


def _peak_rss_mb(process: int | str | None) -> float:
    """The peak resident memory of a process in MiB. getrusage's figure would begin with the parent's."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LinnetError(f"/proc/{process}/status", got="no VmHWM", expected="a Linux kernel's")
