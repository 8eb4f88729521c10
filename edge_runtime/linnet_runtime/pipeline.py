"""Source -> one-slot mailbox -> classifier: the newest frame's label, with its age and the time in each stage."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from linnet_devices.closable import Closable
from linnet_runtime.classifier import Classifier
from linnet_runtime.mailbox import Mailbox
from linnet_runtime.proof.intervals import latency_summary
from linnet_runtime.results import Result
from linnet_runtime.sources.api import NO_FRAME_YET, Source, SourceError

logger = logging.getLogger("linnet")

_FIRST_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0
_CLOSING_S = 5.0  # longer than a camera's read may block


class Pipeline(Closable):
    """Reads a source in a separate thread, and classifies its newest frame in the thread of the caller.

    A live source that gives no more frames is opened again, after a wait that doubles from half a second to half a
    minute. A pipeline is an iterator of ``Result`` and is used once, in a ``with`` block.
    """

    def __init__(self, open_source: Callable[[], Source], classifier: Classifier) -> None:
        """Opens the source and begins to read it.

        Args:
            open_source: opens the source, at first and whenever it is lost.
            classifier: stays open when the pipeline is closed.

        Raises:
            SourceError: the source cannot be opened at first.
        """
        self._open_source = open_source
        self._classifier = classifier
        source = open_source()
        self._mailbox = Mailbox(keep_all=not source.live)
        self._stop = threading.Event()
        self._ages_ms: list[float] = []
        self._started = time.monotonic()
        self._frames_read = 0
        self._reopened = 0
        self._reader = threading.Thread(target=self._read, args=(source,), name="linnet-source", daemon=True)
        self._reader.start()
        self._opened()

    def __iter__(self) -> Iterator[Result]:
        while (frame := self._mailbox.get()) is not None:
            taken = time.monotonic()
            classification = self._classifier.classify(frame.pixels, color=frame.color)
            age_ms = (time.monotonic() - frame.captured_monotonic) * 1e3
            self._ages_ms.append(age_ms)
            yield Result(
                frame=len(self._ages_ms),
                captured_at=frame.captured_at,
                age_ms=age_ms,
                classification=classification,
                stages_ms={"wait": (taken - frame.captured_monotonic) * 1e3, **classification.stages_ms},
                label=classification.label,
                probability=classification.probability,
                picture=frame,
            )

    def summary(self) -> dict[str, object]:
        """Frames read, classified and dropped, the rate, and the frames' age in milliseconds."""
        seconds = time.monotonic() - self._started
        ages = latency_summary(np.array(self._ages_ms) / 1e3) if self._ages_ms else None
        return {
            "frames_read": self._frames_read,
            "frames_classified": len(self._ages_ms),
            "frames_dropped": self._mailbox.dropped,
            "source_reopened": self._reopened,
            "seconds": seconds,
            "fps": len(self._ages_ms) / seconds,
            "age_ms": ages,
            "device": self._classifier.session.device,
        }

    def stop(self) -> None:
        """Ends the iteration after the current frame. Signal handlers may call it, and call it again."""
        self._mailbox.close()

    def _release(self) -> None:
        self._stop.set()
        self._mailbox.close()
        self._reader.join(_CLOSING_S)
        if self._reader.is_alive():
            logger.warning("the source was not released within %g s", _CLOSING_S)

    def _read(self, source: Source) -> None:
        try:
            while self._drain(source) and not self._stop.is_set():
                replacement = self._reopen()
                if replacement is None:
                    break
                source = replacement
            self._mailbox.close()
        except Exception as error:  # raised again in the thread that iterates
            self._mailbox.close(error)

    def _drain(self, source: Source) -> bool:
        """Reads a source to its end and closes it. Returns True for a live source, which should not have ended."""
        try:
            while not self._stop.is_set() and (frame := source.read()) is not None:
                if frame is NO_FRAME_YET:
                    continue
                self._frames_read += 1
                if not self._mailbox.put(frame):
                    return False
        finally:
            source.close()
        return source.live

    def _reopen(self) -> Source | None:
        """Opens the source again, however long it takes; None where the pipeline is closed before."""
        backoff = _FIRST_BACKOFF_S
        while not self._stop.wait(backoff):
            try:
                source = self._open_source()
            except SourceError as error:
                backoff = min(2 * backoff, _LONGEST_BACKOFF_S)
                logger.warning("source lost, trying again in %g s: %s", backoff, error)
                continue
            self._reopened += 1
            logger.warning("source opened again")
            return source
        return None
