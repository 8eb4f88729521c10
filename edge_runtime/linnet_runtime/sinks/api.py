"""The protocol of a sink: an object that receives results and events."""

from __future__ import annotations

from typing import Protocol

from linnet_devices.api import LinnetError
from linnet_runtime.results import Event, Result


class SinkError(LinnetError):
    """A sink that cannot be opened, or could not take what it was given."""


class Sink(Protocol):
    """Receives what a pipeline gives. All calls come from one thread, which only this sink uses: they may block."""

    @property
    def name(self) -> str:
        """Its name in messages and counters, such as ``"mqtt"``."""

    def write(self, item: Result | Event) -> None:
        """Takes a result or an event. Raises SinkError where it could not be delivered: it is then counted as lost."""

    def close(self) -> None:
        """Delivers what is still held and frees everything. Closing twice does nothing."""
