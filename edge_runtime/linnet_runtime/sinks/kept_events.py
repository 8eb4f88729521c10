"""A file for the events that a sink cannot deliver now: they survive the end of the program."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from linnet_runtime.files import read_regular, write_whole
from linnet_runtime.results import Event

logger = logging.getLogger("linnet")

_LINE_BYTES = 4096


class KeptEvents:
    """Events as lines of JSON, oldest first, without their frames. It exists only while there are any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: list[Event] = []
        self._failing = False

    def load(self, most: int) -> list[Event]:
        """The newest ``most`` events of the file. A line that is not an event is left out with a warning."""
        try:
            lines = read_regular(self.path, most * _LINE_BYTES).splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            logger.warning("events of the last run are lost: %s: %s", self.path, error.strerror)
            return []
        events = [event for line in lines if (event := self._event(line)) is not None]
        self._written = events[-most:]
        return list(self._written)

    def keep(self, events: Sequence[Event]) -> bool:
        """Makes the file hold these events, and removes it where there are none. Returns False where it cannot be
        written; a warning has the reason.
        """
        known = len(self._written)
        if known == len(events) and all(map(_is, self._written, events)):
            return True
        try:
            if not events:
                self.path.unlink(missing_ok=True)
            elif known and known < len(events) and all(map(_is, self._written, events[:known])):
                with self.path.open("ab") as file:
                    file.write(_lines(events[known:]))
            else:
                write_whole(self.path, _lines(events))
        except OSError as error:
            if not self._failing:
                logger.warning("events are not kept on disk: %s: %s", self.path, error.strerror)
            self._failing, self._written = True, []
            return False
        self._failing, self._written = False, list(events)
        return True

    def _event(self, line: bytes) -> Event | None:
        with contextlib.suppress(msgspec.DecodeError, TypeError, KeyError):
            fields = msgspec.json.decode(line)
            return Event(kind=fields.pop("event"), **fields)
        logger.warning("%s: a line that is not an event is left out: %r", self.path, line[:80])
        return None


def _is(one: Event, other: Event) -> bool:
    return one is other


def _lines(events: Sequence[Event]) -> bytes:
    return b"".join(msgspec.json.encode(event.to_json()) + b"\n" for event in events)
