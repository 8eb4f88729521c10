"""A camera's thread: it reads the source, prepares the frames, and opens the source again when it is lost. Internal."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import msgspec

from linnet_devices.api import LinnetError
from linnet_runtime.classifier import Classifier, Prepared
from linnet_runtime.decisions.regions import cut
from linnet_runtime.decisions.settings import DecisionSettings, Region, Rotation, When, check_regions
from linnet_runtime.decisions.trigger import Trigger
from linnet_runtime.pipeline.frame_watch import FrameWatch
from linnet_runtime.pipeline.mailbox import Mailbox
from linnet_runtime.results import Event, EventKind
from linnet_runtime.sources.api import NO_FRAME_YET, Frame, Source, SourceError

logger = logging.getLogger("linnet")

Policy = Literal["newest", "every"]

# A lost source is tried again after a tenth of the time that it has been lost: one that is soon back is read at once.
_BACKOFF_SHARE = 0.1
_SHORTEST_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0
_CLOSING_S = 5.0  # longer than a camera's read may block


class CameraSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which of a camera's frames become results."""

    name: str = ""
    """Its name in results, events and topics. Several cameras need different names."""
    policy: Policy | None = None
    """``"newest"``: a frame that waits is replaced by the next one. ``"every"``: every frame is classified. Not
    stated: newest for a camera, and every for files and watched folders."""
    max_age_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Drop a frame or a result that is older than this, and count it."""
    rotate: Rotation = 0
    """Degrees clockwise by which a frame is turned before anything else."""
    region: tuple[Region, ...] = ()
    """The parts of the frame that are classified, each by itself. Empty: the whole frame."""
    frozen_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """After so many seconds with the same bytes a live source counts as frozen, which is an event."""
    when: When = When()
    """Which frames are classified."""
    decision: DecisionSettings = DecisionSettings()
    """What counts as an answer, and how sure it must be."""

    def __post_init__(self) -> None:
        """Raises ValueError, to which a decoder adds the JSON path."""
        try:
            check_regions(self.region)
        except LinnetError as error:
            raise ValueError(str(error)) from error

    @property
    def regions(self) -> tuple[Region | None, ...]:
        """The regions; None is the whole frame."""
        return self.region or (None,)

    @property
    def region_names(self) -> tuple[str, ...]:
        """The names of ``regions``; the whole frame's is empty."""
        return tuple(region.name if region else "" for region in self.regions)


@dataclass(frozen=True)
class Camera:
    """A source with its settings."""

    open_source: Callable[[], Source]
    """Opens the source, at first and whenever it is lost. It raises SourceError."""
    settings: CameraSettings = field(default_factory=CameraSettings)
    """Which of its frames become results."""


@dataclass(frozen=True)
class PreparedPart:
    """A region of a frame."""

    region: int
    """Its index among the camera's regions."""
    picture: Frame
    """The region as it is seen, with the frame's times."""
    prepared: Prepared
    """The same, ready for the model."""


@dataclass(frozen=True)
class PreparedFrame:
    """A frame whose regions are ready for the model."""

    camera: int
    """The camera's index."""
    parts: tuple[PreparedPart, ...]
    """The regions that are to be classified; at least one."""
    max_age_ms: float | None
    """The camera's limit."""

    def is_too_old(self) -> bool:
        """Whether it, or a result of it, is to be dropped."""
        if self.max_age_ms is None:
            return False
        return (time.monotonic() - self.parts[0].picture.captured_monotonic) * 1e3 > self.max_age_ms


class CameraReader:
    """Reads a camera in a separate thread until it is stopped or the source, a file, has ended."""

    def __init__(self, index: int, camera: Camera, classifier: Classifier) -> None:
        """Opens the source. Raises SourceError."""
        self.settings = camera.settings
        self.frames_read = self.frames_skipped = self.reopened = 0
        self.newest: Frame | None = None
        self.online = True
        self._index = index
        self._open_source = camera.open_source
        self._classifier = classifier
        self._source: Source | None = camera.open_source()
        self._damaged_before = 0  # by sources that are closed
        self.live = self._source.live
        policy = camera.settings.policy
        self.keeps_all = self._source.every_frame if policy is None else policy == "every"
        self._watch = (
            None if self._source.every_frame else FrameWatch(camera.settings.name, frozen_s=camera.settings.frozen_s)
        )
        self._triggers = [Trigger(camera.settings.when) for _ in camera.settings.regions]
        self._too_small: set[int] = set()  # regions that are less than one pixel
        self._requested = threading.Event()
        self._stop = threading.Event()
        name = f"linnet-source-{camera.settings.name}".rstrip("-")
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self, mailbox: Mailbox[PreparedFrame, Event]) -> None:
        """Starts to put prepared frames and events into the mailbox."""
        self._mailbox = mailbox
        self._thread.start()

    @property
    def frames_damaged(self) -> int:
        """Frames that the sources have left out."""
        source = self._source
        return self._damaged_before + (source.skipped if source is not None else 0)

    def last_frame_age_s(self) -> float | None:
        """Seconds since the last good frame was captured; None before the first."""
        newest = self.newest
        return None if newest is None else time.monotonic() - newest.captured_monotonic

    def request(self) -> None:
        """Has the next frame classified, whatever ``when`` says."""
        self._requested.set()

    def stop(self) -> None:
        """Has the thread end; ``close`` waits for it."""
        self._stop.set()

    def close(self) -> None:
        """Ends the thread, which closes the source. The mailbox must be closed."""
        self.stop()
        if not self._thread.ident:  # it was never started
            if self._source is not None:
                self._source.close()
            return
        self._thread.join(_CLOSING_S)
        if self._thread.is_alive():
            logger.warning("the source was not released within %g s", _CLOSING_S)

    def _run(self) -> None:
        try:
            while (source := self._source) is not None:
                lost = self._drain(source)
                if lost is not None and not self._stop.is_set():
                    self._source = self._reopen(lost)
            self._mailbox.end(self._index)
        except Exception as error:  # raised again in the thread that iterates
            self._mailbox.close(error)

    def _drain(self, source: Source) -> str | None:
        """Reads a source to its end and closes it. Returns why a live source, which should not have ended, has; None
        where there is nothing to open again.
        """
        reason = "no more frames"
        try:
            while not self._stop.is_set() and (frame := source.read()) is not None:
                if frame is NO_FRAME_YET:
                    continue
                self._note(frame)
                prepared = self._prepare(frame)
                if prepared is None:
                    self.frames_skipped += 1
                elif not self._mailbox.put(self._index, prepared):
                    return None
        except SourceError as error:
            if not source.live or not self.frames_read:
                raise
            reason = str(error)
        finally:
            self._damaged_before += source.skipped
            self._source = None
            source.close()
        return reason if source.live else None

    def _note(self, frame: Frame) -> None:
        self.frames_read += 1
        self.newest = frame
        if not self.online:
            self.online = True
            self._post("online", at=frame.captured_at)
        for event in self._watch.look(frame) if self._watch is not None else ():
            self._mailbox.post(event)

    def _prepare(self, frame: Frame) -> PreparedFrame | None:
        """The regions that are due; None where none is. Raises LinnetError where a region of the first frame is less
        than one pixel.
        """
        requested = self._requested.is_set()
        self._requested.clear()
        parts = []
        for i, (region, trigger) in enumerate(zip(self.settings.regions, self._triggers, strict=True)):
            try:
                pixels = cut(frame.pixels, region, self.settings.rotate)
            except LinnetError as error:
                self._note_too_small(i, frame, error)
                continue
            if self._too_small:
                self._note_large_enough(i, frame)
            if trigger.due(pixels, frame.captured_monotonic, requested=requested):
                prepared = self._classifier.prepare(pixels, color=frame.color)
                parts.append(PreparedPart(i, replace(frame, pixels=pixels), prepared))
        return PreparedFrame(self._index, tuple(parts), self.settings.max_age_ms) if parts else None

    def _note_too_small(self, region: int, frame: Frame, error: LinnetError) -> None:
        """A camera that is opened again may have smaller frames. Raises the error at the first frame: a mistake."""
        if self.frames_read == 1:
            raise error
        if region not in self._too_small:
            self._too_small.add(region)
            logger.warning("%s", self._named(str(error)))
            self._post("too_small", at=frame.captured_at, reason=str(error), region=region)

    def _note_large_enough(self, region: int, frame: Frame) -> None:
        if region in self._too_small:
            self._too_small.discard(region)
            self._post("large_enough", at=frame.captured_at, region=region)

    def _reopen(self, reason: str) -> Source | None:
        """Opens the source again, however long it takes; None where the reader is stopped before."""
        lost_at, said = time.monotonic(), ""
        self.online = False
        self._post("offline", at=time.time(), reason=reason)
        logger.warning("%s: %s", self._named("source lost"), reason)
        while not self._stop.wait(_backoff_s(time.monotonic() - lost_at)):
            try:
                source = self._open_source()
            except SourceError as error:
                if str(error) != said:  # once, not every half second of a night
                    said = str(error)
                    logger.warning("%s: %s", self._named("source still lost"), said)
                continue
            self.reopened += 1
            logger.warning("%s after %.1f s", self._named("source opened again"), time.monotonic() - lost_at)
            return source
        return None

    def _named(self, what: str) -> str:
        return f"{self.settings.name}: {what}" if self.settings.name else what

    def _post(self, kind: EventKind, *, at: float, reason: str = "", region: int | None = None) -> None:
        name = "" if region is None else self.settings.region_names[region]
        self._mailbox.post(Event(kind, at, camera=self.settings.name, region=name, reason=reason))


def _backoff_s(lost_for_s: float) -> float:
    """Seconds until a lost source is tried again."""
    return min(max(_BACKOFF_SHARE * lost_for_s, _SHORTEST_BACKOFF_S), _LONGEST_BACKOFF_S)
