"""Cameras -> mailbox -> classifier: labels of the newest frames, with their age and the time in each stage.
Internal.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

from linnet_devices.closable import Closable
from linnet_runtime.bundle import Bundle
from linnet_runtime.classifier import Classifier
from linnet_runtime.decisions.decider import Decider
from linnet_runtime.failover.rung import DeviceEvent
from linnet_runtime.pipeline.camera import Camera, CameraReader, CameraSettings, PreparedFrame
from linnet_runtime.pipeline.device_thread import DeviceThread, Inference
from linnet_runtime.pipeline.latency_sketch import LatencySketch, RecentLatency
from linnet_runtime.pipeline.mailbox import Mailbox
from linnet_runtime.results import Event, Result, events_of_device
from linnet_runtime.sources.api import Frame, Source

NOTHING_COUNTED: dict[str, object] = {
    "frames_read": 0,
    "frames_classified": 0,
    "frames_dropped": 0,
    "frames_skipped": 0,
    "frames_too_old": 0,
    "frames_damaged": 0,
    "source_reopened": 0,
    "last_frame_age_s": None,
    "seconds": 0.0,
    "fps": 0.0,
    "age_ms": None,
    "stages_ms": {},
    "device": None,
}
"""The summary of a pipeline that was not opened."""


class Pipeline(Closable):
    """Reads and prepares each camera's frames in a thread, runs the model on them in another one, and decides in the
    thread of the caller.

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
        self._thresholds: deque[tuple[str, float]] = deque()  # changes that the next frame makes
        self._dropped: PreparedFrame | None = None  # the last one that was too old
        self._classified: PreparedFrame | None = None  # the last one that became a result
        self._ages = LatencySketch()
        self._stages: dict[str, LatencySketch] = defaultdict(LatencySketch)
        self._recent: dict[str, RecentLatency] = defaultdict(RecentLatency)
        self._started = time.monotonic()
        self._ended: float | None = None
        all_cameras = [Camera(cameras)] if callable(cameras) else cameras
        with ExitStack() as opened:
            for i, camera in enumerate(all_cameras):
                self._readers.append(CameraReader(i, camera, classifier))
                opened.callback(self._readers[i].close)
            self._frames = [0] * len(self._readers)
            self._deciders = [_deciders(reader.settings, classifier.bundle) for reader in self._readers]
            self._mailbox = Mailbox[PreparedFrame, Event]([reader.keeps_all for reader in self._readers])
            self._device = DeviceThread(self._mailbox, classifier, keeps_all=self.keeps_all)
            opened.callback(self._device.close)
            opened.callback(self._mailbox.close)
            self._stop_listening = classifier.listen(self._note_device)
            for reader in self._readers:
                reader.start(self._mailbox)
            self._opened()
            opened.pop_all()

    def __iter__(self) -> Iterator[Result]:
        try:
            while (inference := self._device.next()) is not None:
                self._report(inference.events)
                result = self._result(inference)
                if result is None:
                    continue
                self._measure(result)
                if self._on_result is not None:
                    self._on_result(result)
                self._report(result.events)
                yield result
                if self._most_frames is not None and self.frames_classified >= self._most_frames:
                    return
        finally:
            self._ended = time.monotonic()

    @property
    def frames_classified(self) -> int:
        """How many frames have become results."""
        return sum(self._frames)

    @property
    def keeps_all(self) -> bool:
        """Whether every frame of every camera is classified."""
        return all(reader.keeps_all for reader in self._readers)

    def run(self) -> None:
        """Iterates to the end, for a caller that uses callbacks."""
        for _ in self:
            pass

    def stop(self) -> None:
        """Ends the iteration after the current frame. Signal handlers may call it, and call it again."""
        self._mailbox.close()

    def summary(self) -> dict[str, object]:
        """Frames read, classified and dropped, the rate, and the times in milliseconds. Any thread may call it."""
        seconds = (self._ended or time.monotonic()) - self._started
        classified = self.frames_classified
        ages = [age for reader in self._readers if (age := reader.last_frame_age_s()) is not None]
        summary: dict[str, object] = {
            "frames_read": sum(reader.frames_read for reader in self._readers),
            "frames_classified": classified,
            "frames_dropped": sum(self._mailbox.dropped),
            "frames_skipped": sum(reader.frames_skipped for reader in self._readers),
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

    def request(self, camera: str = "") -> None:
        """Has the camera of that name classify its next frame, whatever its ``when`` says. Any thread may call it."""
        for reader in self._readers:
            if reader.settings.name == camera:
                reader.request()

    def change_threshold(self, threshold: float, camera: str = "") -> None:
        """Changes the decisions' ``threshold`` of the camera of that name, from the next frame on. Any thread may call
        it.
        """
        self._thresholds.append((camera, threshold))

    def newest_frame(self, camera: str = "") -> Frame | None:
        """The newest whole frame of the camera of that name, before rotation. Any thread may call it."""
        return next((reader.newest for reader in self._readers if reader.settings.name == camera), None)

    def recent(self) -> dict[str, dict[str, float] | None]:
        """The times of the last minute in milliseconds, of ``age`` and of each stage. Any thread may call it."""
        return {name: recent.summary() for name, recent in tuple(self._recent.items())}

    def _result(self, inference: Inference) -> Result | None:
        """What is decided from an inference; None where it has none, or where its frame is too old."""
        frame, part, outputs = inference.frame, inference.part, inference.outputs
        if frame is None:
            return None
        if part is None or outputs is None or frame.is_too_old():
            self._too_old += frame is not self._dropped  # once, however many regions it has
            self._dropped = frame
            return None
        if frame is not self._classified:
            self._classified = frame
            self._frames[frame.camera] += 1
            self._change_thresholds()
        classification, picture = self._classifier.label(outputs), part.picture
        decision = self._deciders[frame.camera][part.region].decide(classification, picture)
        settings = self._readers[frame.camera].settings
        wait_ms = (inference.taken_at - picture.captured_monotonic) * 1e3 - outputs.preprocess_ms
        return Result(
            frame=self._frames[frame.camera],
            captured_at=picture.captured_at,
            age_ms=(time.monotonic() - picture.captured_monotonic) * 1e3,
            classification=classification,
            stages_ms={"wait": wait_ms, **classification.stages_ms},
            label=decision.label,
            probability=decision.probability,
            closest=decision.closest,
            delay_ms=decision.delay_ms,
            labels=decision.labels,
            top=decision.top,
            events=decision.events,
            camera=settings.name,
            region=settings.region_names[part.region],
            picture=picture,
        )

    def _change_thresholds(self) -> None:
        while self._thresholds:
            name, threshold = self._thresholds.popleft()
            for decider in self._deciders_of(name):
                decider.change_threshold(threshold)

    def _measure(self, result: Result) -> None:
        self._ages.add(result.age_ms)
        self._recent["age"].add(result.age_ms)
        for stage, ms in result.stages_ms.items():
            self._stages[stage].add(ms)
            self._recent[stage].add(ms)

    def _report(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind == "online":
                self._forget(event.camera)
            if self._on_event is not None:
                self._on_event(event)

    def _note_device(self, device_event: DeviceEvent) -> None:
        """A recall has to come before the results of the next device."""
        for event in events_of_device(device_event):
            self._mailbox.post(event, first=True)

    def _forget(self, camera: str) -> None:
        """What a camera showed before it was lost does not count towards its next decision."""
        for decider in self._deciders_of(camera):
            decider.reset()

    def _deciders_of(self, camera: str) -> list[Decider]:
        of_readers = zip(self._readers, self._deciders, strict=True)
        return [decider for reader, deciders in of_readers if reader.settings.name == camera for decider in deciders]

    def _release(self) -> None:
        self._stop_listening()
        self._mailbox.close()
        for reader in self._readers:
            reader.stop()
        self._device.close()
        for reader in self._readers:
            reader.close()


def _deciders(settings: CameraSettings, bundle: Bundle) -> list[Decider]:
    """A decider for each region of a camera."""
    return [
        Decider(
            bundle.labels,
            bundle.temperature,
            settings.decision,
            interval_s=settings.when.interval_s,
            camera=settings.name,
            region=name,
        )
        for name in settings.region_names
    ]
