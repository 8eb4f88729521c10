"""A bounded queue and a thread for each sink, so that a slow or dead one never delays the stream. Internal.

Results and events have a queue each, and leave in the order in which they came. A full queue loses its oldest item,
which is counted: a result never displaces an event, and an event never a result. Frames are large: at most sixteen are
held, and what comes then is queued without its frame.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from linnet_devices.closable import Closable
from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import OutputLost, Sink, SinkAway, SinkError
from linnet_runtime.sinks.kept_events import KeptEvents

logger = logging.getLogger("linnet")

RESULTS, EVENTS = 256, 1024
PICTURES = 16  # 100 MB of frames of 1920x1080
_CLOSING_S = 5.0
_GRACE_S = 0.5  # from the last write to the end of the thread
_RETRY_S = 0.5  # between two tries to reach a receiver that is away


class QueuedSink(Closable):
    """A sink with its queue, its thread and its counters."""

    delivered: int
    """Results and events that the sink has taken."""
    skipped: int
    """Those that it had no use for."""
    dropped: int
    """Those that were lost because the queue was full, or because the sink did not take them before the end."""
    failed: int
    """Those that the sink could not deliver."""
    kept: int
    """Events that are in the file at the end; the next run delivers them."""

    def __init__(
        self,
        sink: Sink,
        *,
        results: int = RESULTS,
        events: int = EVENTS,
        wait: bool = False,
        kept_events: KeptEvents | None = None,
        retry_s: float = _RETRY_S,
    ) -> None:
        """Starts the thread.

        Args:
            sink: is closed in the thread, at the end.
            results: the most results in the queue.
            events: the most events in the queue.
            wait: ``put`` waits for room instead of losing a result: for files, where every frame matters.
            kept_events: the file for events that are not delivered yet.
            retry_s: seconds between two tries to deliver an event.
        """
        self.name = sink.name
        self.delivered = self.skipped = self.dropped = self.failed = self.kept = 0
        self._sink, self._wait, self._retry_s = sink, wait, retry_s
        self._most_results, self._most_events = results, events
        self._pictures = 0
        self._kept_events = kept_events
        self._changed = threading.Condition()
        self._results: deque[tuple[int, Result]] = deque()
        self._events: deque[tuple[int, Event]] = deque()
        self._number = 0
        self._ends_at: float | None = None
        self._lost_output: BaseException | None = None
        self._failing = self._on_disk = self._ended = False
        self._writing: tuple[int, Result | Event] | None = None
        if kept_events is not None:
            for event in kept_events.load(self._most_events):
                self._append(event)
        self._thread = threading.Thread(target=self._run, name=f"linnet-sink-{self.name}", daemon=True)
        self._thread.start()
        self._opened()

    def put(self, item: Result | Event) -> None:
        """Queues a result or an event. It waits only where the sink was opened with ``wait``.

        Raises:
            OSError: standard output cannot be written any more; from the sinks that write there.
        """
        with self._changed:
            if self._wait:
                self._changed.wait_for(self._has_room)
            if self._lost_output is not None:
                raise self._lost_output
            if self._ends_at is not None:
                self.dropped += 1
                return
            self._append(item)
            self._changed.notify_all()

    def summary(self) -> dict[str, int]:
        """The counters, by name."""
        with self._changed:
            counters = {"delivered": self.delivered, "dropped": self.dropped, "failed": self.failed}
            more = {"skipped": self.skipped, "kept": self.kept}
        return counters | {name: count for name, count in more.items() if count}

    def finish(self, seconds: float = _CLOSING_S) -> None:
        """Has the thread deliver what is held within that time, and then end. Returns at once."""
        with self._changed:
            if self._ends_at is None:
                self._ends_at = time.monotonic() + seconds
            self._changed.notify_all()
        hurry: Callable[[float], object] | None = getattr(self._sink, "finish", None)
        if hurry is not None:
            hurry(seconds)

    def _release(self) -> None:
        self.finish()
        self._thread.join(max(0.0, (self._ends_at or 0.0) - time.monotonic()) + _GRACE_S)
        with self._changed:
            if self._thread.is_alive():
                self._abandon()

    def _has_room(self) -> bool:
        room = len(self._results) < self._most_results and len(self._events) < self._most_events
        room = room and self._pictures < PICTURES
        return room or self._ends_at is not None or self._lost_output is not None

    def _append(self, item: Result | Event) -> None:
        self._number += 1
        if _has_picture(item):
            if self._sink.pictures and self._pictures < PICTURES:
                self._pictures += 1
            else:
                item = replace(item, picture=None) if isinstance(item, Result) else replace(item, frame=None)
        if isinstance(item, Result):
            self._results.append((self._number, item))
            full = len(self._results) > self._most_results
        else:
            self._events.append((self._number, item))
            full = len(self._events) > self._most_events
        if full:
            self._take(self._results if isinstance(item, Result) else self._events)
            self.dropped += 1

    def _take(self, queue: deque[tuple[int, Result]] | deque[tuple[int, Event]]) -> tuple[int, Result | Event]:
        number, item = queue.popleft()
        self._pictures -= _has_picture(item)
        return number, item

    def _run(self) -> None:
        try:
            while (taken := self._next()) is not None:
                self._write(*taken)
        finally:
            self._keep_rest()
            try:
                self._sink.close()
            except Exception as error:  # a plug-in may raise anything, and the run continues
                logger.warning("closing the sink %s: %s", self.name, _in_words(error))

    def _next(self) -> tuple[int, Result | Event] | None:
        """Waits for the oldest item and takes it, with its number; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._events or self._ends_at is not None)
            # What is on disk waits for the next run, which has more time.
            late = self._ends_at is not None and (self._on_disk or time.monotonic() >= self._ends_at)
            if late or self._lost_output is not None or not (self._results or self._events):
                return None
            first = not self._events or (self._results and self._results[0][0] < self._events[0][0])
            self._writing = self._take(self._results if first else self._events)
            self._changed.notify_all()
            return self._writing

    def _write(self, number: int, item: Result | Event) -> None:
        try:
            if isinstance(item, Event):
                self._keep((number, item))  # the process may be killed before it is delivered
            used = self._sink.write(item)
        except SinkAway as error:
            self._report(error)
            if isinstance(item, Event):
                self._put_back(number, item)
                return
            self._count("failed")
        except OutputLost as error:
            self._count("failed")
            with self._changed:
                self._lost_output = error.__cause__ or error
                self._changed.notify_all()
        except BaseException as error:  # a plug-in may raise anything, SystemExit too, and the stream continues
            self._report(error)
            self._count("failed")
        else:
            self._count("delivered" if used else "skipped")
            if used and self._failing:
                self._failing = self._on_disk = False
                logger.warning("the sink %s delivers again; %d lost so far", self.name, self.failed + self.dropped)
        if isinstance(item, Event) and not self._events:
            self._keep()

    def _put_back(self, number: int, event: Event) -> None:
        """Keeps an event that could not be delivered as the oldest one, and waits before the next try."""
        with self._changed:
            self._writing = None
            if self._ended:
                return
            if len(self._events) < self._most_events:
                self._events.appendleft((number, event))
                self._pictures += _has_picture(event)
            else:
                self.dropped += 1  # it is the oldest
        self._on_disk = self._keep()
        with self._changed:
            ending = self._ends_at is not None
            self._changed.wait_for(lambda: not ending and self._ends_at is not None, self._retry_s)

    def _keep(self, *first: tuple[int, Event], only: bool = False) -> bool:
        """Has the file hold the events of the queue, after ``first``. Returns False where there is no file, or where it
        cannot be written.
        """
        if self._kept_events is None or self._ended:
            return False
        with self._changed:
            held = [*first, *self._events]
        return self._kept_events.keep(held, only=only)

    def _keep_rest(self) -> None:
        """Counts what the sink has not taken; events go into the file, where there is one."""
        with self._changed:
            if self._ended:
                return
            self._count_rest()
            self._changed.notify_all()

    def _count_rest(self) -> None:
        if self._keep(only=True):
            self.kept = len(self._events)
        else:
            self.dropped += len(self._events)
        self.dropped += len(self._results)
        self._events.clear()
        self._results.clear()
        self._ended = True

    def _abandon(self) -> None:
        """Takes over what the thread holds, which hangs in the sink: nothing can end a thread in Python. It ends when
        the sink returns.
        """
        before = self.dropped
        if self._writing is not None:
            number, item = self._writing
            if isinstance(item, Event):
                self._events.appendleft((number, item))
            else:
                self._results.appendleft((number, item))
        if not self._ended:
            self._count_rest()
        kept = f", and {self.kept} events are kept on disk" if self.kept else ""
        lost = self.dropped - before
        logger.warning("the sink %s was not closed in time: %d results and events are lost%s", self.name, lost, kept)

    def _count(self, counter: str) -> None:
        with self._changed:
            self._writing = None
            if not self._ended:
                setattr(self, counter, getattr(self, counter) + 1)

    def _report(self, error: BaseException) -> None:
        """Logs the first failure of a row; the counters have the others."""
        if not self._failing:
            self._failing = True
            logger.warning("the sink %s: %s", self.name, _in_words(error))


def _has_picture(item: Result | Event) -> bool:
    return (item.picture if isinstance(item, Result) else item.frame) is not None


def _in_words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, SinkError) else f"{type(error).__name__}: {text}"
