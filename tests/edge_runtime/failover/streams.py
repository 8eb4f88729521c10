"""Streams of frames through a supervised classifier, and what they show of its devices."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from edge_runtime.simulated_camera import SimulatedCamera, Step
from linnet_runtime import Classifier
from linnet_runtime.failover.checked import Limits
from linnet_runtime.failover.rung import DeviceEvent
from linnet_runtime.failover.supervisor import SupervisedSession
from linnet_runtime.pipeline.pipeline import Pipeline, Result
from linnet_runtime.sources import Frame
from program import PATIENCE_S

CHECK_EVERY = 8  # frames
# Patience with a loaded machine; a deadline is short only where a test wants it to be missed, and even then it is far
# longer than an inference.
PATIENT = Limits(
    deadline_s=PATIENCE_S,
    open_s=PATIENCE_S,
    start_s=PATIENCE_S,
    canary_frames=CHECK_EVERY,
    first_backoff_s=0.1,
    longest_backoff_s=0.1,
    restarts_a_minute=99,
)


def pictures() -> Iterator[Frame]:
    """The same frames each time, without end, and each another one."""
    random = np.random.default_rng(0)
    while True:
        yield Frame(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))


def stream(classifier: Classifier, script: Iterable[Step] | None = None) -> Iterator[Result]:
    """The pictures through the pipeline as a file's frames, of which none may be left out."""
    with Pipeline(lambda: SimulatedCamera(script or pictures(), live=False), classifier) as pipeline:
        yield from pipeline


class Listener(logging.Handler):
    """Sets ``back`` when the supervisor says that a device is back."""

    def __init__(self) -> None:
        super().__init__()
        self.back = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "is back" in record.getMessage():
            self.back.set()


def events_of(classifier: Classifier) -> list[DeviceEvent]:
    assert isinstance(classifier.session, SupervisedSession)
    return list(classifier.session.events)


def devices_in_turn(results: list[Result]) -> list[str]:
    return [device for device, _ in itertools.groupby(result.classification.device for result in results)]


def wrong_frames(results: list[Result], bundle: Path) -> list[int]:
    """The frames whose logits are not those that the CPU alone gives."""
    with Classifier.open(bundle, "cpu:litert") as alone:
        return [
            result.frame
            for result, frame in zip(results, pictures(), strict=False)
            if not np.array_equal(result.classification.logits, alone.classify(frame.pixels, color=frame.color).logits)
        ]
