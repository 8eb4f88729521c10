"""A camera's thread: it reads the source, prepares the frames, and opens the source again when it is lost. Not public
except ``Camera`` and ``CameraSettings``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from linnet_runtime.classifier import Classifier, Prepared
from linnet_runtime.mailbox import Mailbox
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
    """``"newest"``: a frame that waits is replaced by the next one. ``"every"``: every frame is classified. None is
    newest for a live source and every for a file."""
    max_age_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Drop a frame or a result that is older than this, and count it."""


@dataclass(frozen=True)
class Camera:
    """A source with its settings."""

    open_source: Callable[[], Source]
    """Opens the source, at first and whenever it is lost. It raises SourceError."""
    settings: CameraSettings = field(default_factory=CameraSettings)
    """Which of its frames become results."""


@dataclass(frozen=True)
class PreparedFrame:
    """A frame whose regions are ready for the model."""

    camera: int
    """The camera's index."""
    frame: Frame
    """The frame itself."""
    regions: tuple[tuple[int, Prepared], ...]
    """The regions to classify, by their index."""


class CameraReader:
    """Reads a camera in a separate thread until it is stopped or the source, a file, has ended."""

    def __init__(self, index: int, camera: Camera, classifier: Classifier) -> None:
        """Opens the source. Raises SourceError."""
        self.settings = camera.settings
        self.frames_read = 0
        self.reopened = 0
        self.online = True
        self._index = index
        self._open_source = camera.open_source
        self._classifier = classifier
        self._source: Source | None = camera.open_source()
        self._damaged_before = 0  # by sources that are closed
        self.live = self._source.live
        self.keeps_all = (camera.settings.policy or ("newest" if self.live else "every")) == "every"
        self._last_frame_monotonic: float | None = None
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
        last = self._last_frame_monotonic
        return None if last is None else time.monotonic() - last

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
                self._count(frame)
                if not self._mailbox.put(self._index, self._prepare(frame)):
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

    def _count(self, frame: Frame) -> None:
        self.frames_read += 1
        self._last_frame_monotonic = frame.captured_monotonic
        if not self.online:
            self.online = True
            self._post("online", at=frame.captured_at)

    def _prepare(self, frame: Frame) -> PreparedFrame:
        prepared = self._classifier.prepare(frame.pixels, color=frame.color)
        return PreparedFrame(self._index, frame, ((0, prepared),))

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

    def _post(self, kind: EventKind, *, at: float, reason: str = "") -> None:
        self._mailbox.post(Event(kind, at, camera=self.settings.name, reason=reason))


def _backoff_s(lost_for_s: float) -> float:
    """Seconds until a lost source is tried again."""
    return min(max(_BACKOFF_SHARE * lost_for_s, _SHORTEST_BACKOFF_S), _LONGEST_BACKOFF_S)
