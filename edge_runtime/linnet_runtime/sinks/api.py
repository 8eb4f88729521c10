"""The protocol of a sink: an object that receives results and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from linnet_devices.api import LinnetError
from linnet_runtime.results import Event, Result


class SinkError(LinnetError):
    """A sink that cannot be opened, or could not take what it was given."""


class SinkAway(SinkError):  # noqa: N818  # the state's name says it
    """The receiver cannot be reached now. The event is kept and written again later; a result is counted as lost."""


class OutputLost(SinkError):  # noqa: N818  # see above
    """Standard output cannot be written any more. The error that it was raised from ends the run."""


class Sink(Protocol):
    """Receives what a pipeline gives. All calls come from one thread, which only this sink uses: they may block.

    A sink that waits for a receiver may have a method ``finish(seconds)`` too. It is called once, from another thread,
    when the run ends: what ``write`` and ``close`` have to wait for must then take no longer, all together.
    """

    @property
    def name(self) -> str:
        """Its name in messages and counters, such as ``"mqtt"``."""

    @property
    def pictures(self) -> bool:
        """Whether it uses the frames. Those of a sink that is behind are left out: they are large."""

    def write(self, item: Result | Event) -> bool:
        """Takes a result or an event. Returns False where it has no use for it.

        Raises:
            SinkAway: the receiver cannot be reached: an event is kept, and written again until it is delivered.
            SinkError: it could not be delivered, and is lost. Other exceptions count as this one.
        """

    def close(self) -> None:
        """Frees everything. Closing twice does nothing."""


def _no_statistics() -> Mapping[str, Any]:
    return {}


def _no_request(_camera: str) -> None:
    pass


@dataclass(frozen=True)
class Stream:
    """What a sink may know of the run whose results it receives."""

    labels: tuple[str, ...] = ()
    """The model's labels."""
    bundle: str = ""
    """The bundle's name."""
    cameras: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"": ("",)})
    """The regions' names of each camera by its name. The name of an only camera, and of the whole frame, is empty."""
    live: bool = True
    """False where every frame matters: a local sink then makes the stream wait instead of losing a result."""
    statistics: Callable[[], Mapping[str, Any]] = _no_statistics
    """The summary of the run so far, as its last line has it, and ``placement``: the share of the model's operations
    that run on the device. Any thread may call it."""
    request: Callable[[str], None] = _no_request
    """Has a camera, by its name, classify a frame now. Any thread may call it."""
