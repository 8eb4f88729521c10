"""A Python function as a sink. Internal."""

from __future__ import annotations

from collections.abc import Callable

from linnet_runtime.results import Event, Result


class CallbackSink:
    """Calls a function with every result and event, frames included, in a separate thread."""

    name, pictures = "callback", True

    def __init__(self, function: Callable[[Result | Event], object]) -> None:
        self._function = function

    def write(self, item: Result | Event) -> bool:
        self._function(item)
        return True

    def close(self) -> None:
        pass
