"""All sinks of a run as one. Internal."""

from __future__ import annotations

from collections.abc import Iterable

from linnet_devices.closable import Closable
from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.queued import QueuedSink


class Sinks(Closable):
    """All sinks of a run. Use it as a context manager, or close it."""

    def __init__(self, sinks: Iterable[QueuedSink]) -> None:
        self._sinks = tuple(sinks)
        self._opened()

    def put(self, item: Result | Event) -> None:
        """Gives a result or an event to every sink. Raises OSError where standard output cannot be written."""
        for sink in self._sinks:
            sink.put(item)

    def summary(self) -> dict[str, dict[str, int]]:
        """The counters of each sink, by its name. Final once closed."""
        return {sink.name: sink.summary() for sink in self._sinks}

    def _release(self) -> None:
        for sink in self._sinks:  # at the same time: together they take no longer than the slowest
            sink.finish()
        for sink in self._sinks:
            sink.close()
