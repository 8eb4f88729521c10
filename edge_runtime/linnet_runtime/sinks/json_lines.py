"""Lines of JSON on standard output: what ``linnet run`` prints. Internal."""

from __future__ import annotations

import sys

import msgspec

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import OutputLost, Stream
from linnet_runtime.sinks.settings import JsonLinesSettings


class JsonLines:
    """A line of JSON for each result, and for each event that no result names. A reader that has gone, or a full disk,
    ends the run.
    """

    name, pictures = "json_lines", False

    def __init__(self, _settings: JsonLinesSettings, _stream: Stream) -> None:
        self._output = sys.stdout.buffer

    def write(self, item: Result | Event) -> bool:
        if isinstance(item, Event) and item.of_decision:
            return False
        try:
            self._output.write(msgspec.json.encode(item.to_json()) + b"\n")
            self._output.flush()
        except OSError as error:
            raise OutputLost("standard output", got=error.strerror) from error
        return True

    def close(self) -> None:
        pass
