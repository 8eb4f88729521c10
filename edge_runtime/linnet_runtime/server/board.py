"""What the live page shows of the cameras: the newest result of each region, and the last events with snapshots."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.metrics import RunMetrics
from linnet_runtime.sources.api import Frame

EVENTS = 30
_SNAPSHOT_WIDTH = 320
_SNAPSHOT_EVERY_S = 0.2  # events may come with every frame: those in between have no snapshot
_JPEG_QUALITY = 80
_TO_BGR = {"rgb": cv2.COLOR_RGB2BGR, "gray": cv2.COLOR_GRAY2BGR}
_TROUBLES = {"offline": "online", "frozen": "moving", "covered": "uncovered", "too_small": "large_enough"}
"""The events that begin a camera's trouble, and those that end it."""


@dataclass(frozen=True)
class ShownEvent:
    """An event as the page lists it."""

    number: int
    """Counts the events, from 1."""
    event: Event
    """The event, without its frame."""
    snapshot: bytes | None
    """A JPEG of the frame that decided; None where there is none."""

    def to_json(self) -> dict[str, object]:
        """The event's JSON, with its number and whether it has a snapshot."""
        return {"number": self.number, **self.event.to_json(), "snapshot": self.snapshot is not None}


class Board:
    """A sink that keeps what the page shows. Memory is bounded: one result a region, and the last events."""

    name = "page"
    pictures = True

    def __init__(self, metrics: RunMetrics | None) -> None:
        """``metrics`` counts what comes; None where there is no camera."""
        self._metrics = metrics
        self._lock = threading.Lock()
        self._results: dict[tuple[str, str], dict[str, object]] = {}
        self._events: deque[ShownEvent] = deque(maxlen=EVENTS)
        self._troubles: dict[tuple[str, str, str], Event] = {}  # by camera, region and the event that ends it
        self._failover: Event | None = None
        self._count = 0
        self._last_snapshot = 0.0

    def write(self, item: Result | Event) -> bool:
        """Takes a result or an event; see ``sinks.api.Sink``."""
        if self._metrics is not None:
            self._metrics.count(item)
        if isinstance(item, Event):
            self._add(item)
        else:
            top = item.top or item.classification.top
            shown = item.to_json() | {"top": [{"label": label, "probability": round(p, 4)} for label, p in top]}
            with self._lock:
                self._results[item.camera, item.region] = shown
        return True

    def close(self) -> None:
        """Nothing to free."""

    def clear(self) -> None:
        """Forgets the results: the cameras or the model have changed."""
        with self._lock:
            self._results.clear()
            self._troubles.clear()

    def metrics_text(self) -> bytes:
        """The cameras' metrics in Prometheus' text format; empty where there is no camera."""
        return b"" if self._metrics is None else self._metrics.text()

    def results(self) -> list[dict[str, object]]:
        """The newest result of each region, as its line of JSON with the most probable labels."""
        with self._lock:
            return list(self._results.values())

    def events(self) -> list[ShownEvent]:
        """The last events, newest first."""
        with self._lock:
            return list(reversed(self._events))

    def troubles(self) -> list[Event]:
        """What is wrong with the cameras now: the event with which each trouble began."""
        with self._lock:
            return list(self._troubles.values())

    def failover(self) -> Event | None:
        """The last change of the device, or None."""
        return self._failover

    def snapshot(self, number: int) -> bytes | None:
        """The JPEG of an event; None where it is no longer kept, or has none."""
        with self._lock:
            return next((shown.snapshot for shown in self._events if shown.number == number), None)

    def _add(self, event: Event) -> None:
        snapshot = None
        now = time.monotonic()
        if event.frame is not None and now - self._last_snapshot >= _SNAPSHOT_EVERY_S:
            self._last_snapshot = now
            snapshot = jpeg(event.frame, _SNAPSHOT_WIDTH)
        with self._lock:
            self._count += 1
            kept = Event(event.kind, event.at, event.camera, event.region, event.label, event.previous, event.reason)
            self._events.append(ShownEvent(self._count, kept, snapshot))
            self._troubles.pop((event.camera, event.region, event.kind), None)
            if event.kind in _TROUBLES:
                self._troubles[event.camera, event.region, _TROUBLES[event.kind]] = kept
            elif event.kind in ("failover", "recalled"):
                self._failover = kept


def jpeg(frame: Frame, most_width: int, pixels: NDArray[np.uint8] | None = None) -> bytes:
    """A frame as a JPEG of at most that width; ``pixels`` stand for the frame's own where they are given."""
    pixels = frame.pixels if pixels is None else pixels
    height, width = pixels.shape[:2]
    if width > most_width:
        size = (most_width, max(1, round(height * most_width / width)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if frame.color != "bgr":
        pixels = cv2.cvtColor(pixels, _TO_BGR[frame.color])
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
