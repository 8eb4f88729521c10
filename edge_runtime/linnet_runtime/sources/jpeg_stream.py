"""Finds the JPEG pictures in a stream of bytes, whatever stands between them. Not public.

Cameras frame their pictures in many ways: with or without lengths, with wrong lengths, with the boundary before the
picture or behind it. The markers of JPEG itself (ITU-T T.81, annex B) are the same everywhere.
"""

from __future__ import annotations

import re

_START, _END = 0xD8, 0xD9
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # neither a byte of a scan nor a restart within it
_MOST_BYTES = 20_000_000  # of one picture


class JpegStream:
    """Takes bytes as they arrive and gives whole pictures. A picture that the next one cuts off is left out."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0  # from where to look for the next marker of the current picture; 0 without a current picture

    def feed(self, data: bytes) -> None:
        """Adds what has arrived."""
        self._data += data
        if len(self._data) > _MOST_BYTES:
            self._forget(len(self._data))

    def next_picture(self) -> bytes | None:
        """The next whole picture; None until more has arrived."""
        while self._at or self._find_start():
            found = _MARKER.search(self._data, self._at)
            if found is None:
                self._at = max(self._at, len(self._data) - 1)
                return None
            self._at = found.start()
            marker = self._data[self._at + 1]
            if marker == _END:
                picture = bytes(self._data[: self._at + 2])
                self._forget(self._at + 2)
                return picture
            if marker == _START:  # the picture before it was cut off
                self._forget(self._at)
                continue
            length = int.from_bytes(self._data[self._at + 2 : self._at + 4], "big")
            if len(self._data) < self._at + 4 or len(self._data) < self._at + 2 + length:
                return None
            self._at += 2 + length  # over a segment, which may hold a thumbnail with markers of its own
        return None

    def _find_start(self) -> bool:
        start = self._data.find(b"\xff\xd8\xff")
        self._forget(start if start >= 0 else max(0, len(self._data) - 2))  # a part of the start may have arrived
        self._at = 2 if start >= 0 else 0
        return start >= 0

    def _forget(self, count: int) -> None:
        del self._data[:count]
        self._at = 0
