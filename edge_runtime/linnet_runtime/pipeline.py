"""Cameras -> mailbox -> classifier: labels of the newest frames, with their age and the time in each stage."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from linnet_devices.closable import Closable
from linnet_runtime.camera import Camera, CameraReader, PreparedFrame
from linnet_runtime.classifier import Classifier, Prepared
from linnet_runtime.latency_sketch import LatencySketch, RecentLatency
from linnet_runtime.mailbox import Mailbox
from linnet_runtime.results import Event, Result
from linnet_runtime.sources.api import Frame, Source


class Pipeline(Closable):
    """Reads and prepares each camera's frames in a thread, and classifies them in the thread of the caller.

    A pipeline is an iterator of ``Result`` and is used once, in a ``with`` block. A live source that gives no more
    frames is opened again, however long that takes.
    """

    def __init__(
        self,
        cameras: Callable[[], Source] | Sequence[Camera],
        classifier: Classifier,
        *,
        on_result: Callable[[Result], object] | None = None,
        on_event: Callable[[Event], object] | None = None,
        most_frames: int | None = None,
    ) -> None:
        """Opens the sources and begins to read them.

        Args:
            cameras: the cameras, or a function that opens the source of the only one.
            classifier: all cameras share it. It stays open when the pipeline is closed.
            on_result: is called with each result, before the iterator gives it.
            on_event: is called with each event, in the order in which they happened, between the results.
            most_frames: the iteration ends after so many frames.

        Raises:
            SourceError: a source cannot be opened at first.
        """
        self._classifier = classifier
        self._on_result, self._on_event = on_result, on_event
        self._most_frames = most_frames
        self._readers: list[CameraReader] = []
        self._too_old = 0
        self._ages = LatencySketch()
        self._stages: dict[str, LatencySketch] = defaultdict(LatencySketch)
        self._recent: dict[str, RecentLatency] = defaultdict(RecentLatency)
        self._started = time.monotonic()
        all_cameras = [Camera(cameras)] if callable(cameras) else cameras
        with ExitStack() as opened:
            for i, camera in enumerate(all_cameras):
                self._readers.append(CameraReader(i, camera, classifier))
                opened.callback(self._readers[i].close)
            opened.pop_all()
        self._frames = [0] * len(self._readers)
        self._mailbox = Mailbox[PreparedFrame, Event]([reader.keeps_all for reader in self._readers])
        for reader in self._readers:
            reader.start(self._mailbox)
        self._opened()

    def __iter__(self) -> Iterator[Result]:
        while (taken := self._mailbox.get()) is not None:
            notes, prepared = taken
            self._report(notes)
            if prepared is None:
                continue
            yield from self._classify(prepared)
            if self._most_frames is not None and sum(self._frames) >= self._most_frames:
                return

    def run(self) -> None:
        """Iterates to the end, for a caller that uses callbacks."""
        for _ in self:
            pass

    def stop(self) -> None:
        """Ends the iteration after the current frame. Signal handlers may call it, and call it again."""
        self._mailbox.close()

    def summary(self) -> dict[str, object]:
        """Frames read, classified and dropped, the rate, and the times in milliseconds. Any thread may call it."""
        seconds = time.monotonic() - self._started
        classified = sum(self._frames)
        ages = [age for reader in self._readers if (age := reader.last_frame_age_s()) is not None]
        summary: dict[str, object] = {
            "frames_read": sum(reader.frames_read for reader in self._readers),
            "frames_classified": classified,
            "frames_dropped": sum(self._mailbox.dropped),
            "frames_too_old": self._too_old,
            "frames_damaged": sum(reader.frames_damaged for reader in self._readers),
            "source_reopened": sum(reader.reopened for reader in self._readers),
            "last_frame_age_s": max(ages) if ages else None,
            "seconds": seconds,
            "fps": classified / seconds,
            "age_ms": self._ages.summary(),
            "stages_ms": {stage: sketch.summary() for stage, sketch in tuple(self._stages.items())},
            "device": self._classifier.session.device,
        }
        return summary

    def recent(self) -> dict[str, dict[str, float] | None]:
        """The times of the last minute in milliseconds, of ``age`` and of each stage. Any thread may call it."""
        return {name: recent.summary() for name, recent in tuple(self._recent.items())}

    def _classify(self, prepared: PreparedFrame) -> Iterator[Result]:
        """The results of a frame, until it is too old."""
        reader = self._readers[prepared.camera]
        number = self._frames[prepared.camera] + 1
        for region in prepared.regions:
            if self._is_too_old(reader, prepared.frame):
                return
            result = self._result(number, reader, prepared.frame, region)
            if self._is_too_old(reader, prepared.frame):
                return
            self._frames[prepared.camera] = number
            self._measure(result)
            if self._on_result is not None:
                self._on_result(result)
            yield result

    def _result(self, number: int, reader: CameraReader, frame: Frame, region: tuple[int, Prepared]) -> Result:
        taken = time.monotonic()
        classification = self._classifier.classify_prepared(region[1])
        self._report(self._mailbox.notes())
        wait_ms = (taken - frame.captured_monotonic) * 1e3 - region[1].preprocess_ms
        return Result(
            frame=number,
            captured_at=frame.captured_at,
            age_ms=(time.monotonic() - frame.captured_monotonic) * 1e3,
            classification=classification,
            stages_ms={"wait": wait_ms, **classification.stages_ms},
            label=classification.label,
            probability=classification.probability,
            camera=reader.settings.name,
            picture=frame,
        )

    def _is_too_old(self, reader: CameraReader, frame: Frame) -> bool:
        limit_ms = reader.settings.max_age_ms
        if limit_ms is None or (time.monotonic() - frame.captured_monotonic) * 1e3 <= limit_ms:
            return False
        self._too_old += 1
        return True

    def _measure(self, result: Result) -> None:
        self._ages.add(result.age_ms)
        self._recent["age"].add(result.age_ms)
        for stage, ms in result.stages_ms.items():
            self._stages[stage].add(ms)
            self._recent[stage].add(ms)

    def _report(self, events: list[Event]) -> None:
        if self._on_event is not None:
            for event in events:
                self._on_event(event)

    def _release(self) -> None:
        self._mailbox.close()
        for reader in self._readers:
            reader.stop()
        for reader in self._readers:
            reader.close()
