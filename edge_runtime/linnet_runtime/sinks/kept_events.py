"""A file for the events of a sink: they survive the end of the program, also where it is killed. Internal."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from linnet_runtime.files.folders import read_regular, write_whole
from linnet_runtime.results import Event

logger = logging.getLogger("linnet")

_LINE_BYTES = 4096
_MOST_DELIVERED = 16  # events in the file that need not be there any more: it is not written anew for each

Numbered = tuple[int, Event]
"""An event with its number; numbers grow."""


class KeptEvents:
    """Events as lines of JSON, oldest first, without their frames. It exists only while there are any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: list[int] = []  # the numbers of the file's lines
        self._exists = self._failing = False

    def load(self, most: int) -> list[Event]:
        """The newest ``most`` events of the file; their numbers begin with 1. A line that is not an event is left out
        with a warning.
        """
        try:
            lines = read_regular(self.path, most * _LINE_BYTES).splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            logger.warning("events of the last run are lost: %s: %s", self.path, error.strerror)
            return []
        self._exists = True
        events = [event for line in lines if (event := self._event(line)) is not None][-most:]
        self._written = list(range(1, len(events) + 1))
        return events

    def keep(self, events: Sequence[Numbered], *, only: bool = False) -> bool:
        """Makes the file hold these events, and removes it where there are none. A few that were delivered may stay in
        it, unless it is to hold ``only`` these.

        Returns:
            False where the file cannot be written; a warning has the reason.
        """
        known = set(self._written)
        new = [event for event in events if event[0] not in known]
        delivered = len(known) + len(new) - len(events)
        try:
            if not events:
                if self._exists:
                    self.path.unlink(missing_ok=True)
                self._exists, self._written = False, []
                return True
            self._exists = True
            if not known or delivered > (0 if only else len(events) + _MOST_DELIVERED):
                write_whole(self.path, _lines(events))
                self._written = [number for number, _ in events]
            elif new:
                with self.path.open("ab") as file:
                    file.write(_lines(new))
                self._written += [number for number, _ in new]
        except OSError as error:
            if not self._failing:
                logger.warning("events are not kept on disk: %s: %s", self.path, error.strerror)
            self._failing, self._written = True, []
            return False
        self._failing = False
        return True

    def _event(self, line: bytes) -> Event | None:
        with contextlib.suppress(msgspec.DecodeError, TypeError, KeyError):
            fields = msgspec.json.decode(line)
            return Event(kind=fields.pop("event"), **fields)
        logger.warning("%s: a line that is not an event is left out: %r", self.path, line[:80])
        return None


def _lines(events: Sequence[Numbered]) -> bytes:
    return b"".join(msgspec.json.encode(event.to_json()) + b"\n" for _, event in events)
