"""Finds the JPEG pictures in a stream of bytes, whatever stands between them. Internal.

Cameras frame their pictures in many ways: with or without lengths, with wrong lengths, with the boundary before the
picture or behind it. The markers of JPEG itself (ITU-T T.81, annex B) are the same everywhere. The boundary is used
only to count the parts without a picture, and to find the next picture where one was cut off inside its header.
"""

from __future__ import annotations

import re

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_END_MARKER = bytes((0xFF, _END))
_PICTURE = b"\xff\xd8\xff"  # its first bytes
_APPLICATION = range(0xE0, 0xF0)  # segments that may hold a thumbnail
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # neither a byte of a scan nor a restart within it
_NO_SEGMENT = (0x00, 0x01, *range(0xD0, 0xD8))  # what cannot follow a segment
_MOST_BYTES = 20_000_000  # of one picture
_SHORTEST = 6  # bytes of a boundary that do not turn up by chance


class JpegStream:
    """Takes bytes as they arrive and gives whole pictures. A picture that was cut off is left out."""

    skipped: int
    """How many pictures were cut off, and how many parts were empty or held no picture."""

    def __init__(self, boundary: str = "") -> None:
        """``boundary`` is that of multipart/x-mixed-replace; some cameras leave it out, or give another one."""
        self.skipped = 0
        self._data = bytearray()
        self._at = 0  # the next marker of the current picture; 0 without a current picture
        self._segment = 0  # the last segment before it
        self._in_scan = False  # compressed data come before that marker
        self._boundary = b"--" + boundary.strip("-").encode()
        self._parts = 0  # that have begun since the last picture

    def feed(self, data: bytes) -> None:
        """Adds what has arrived."""
        self._data += data
        if len(self._data) > _MOST_BYTES:
            self._forget(len(self._data))

    def next_picture(self) -> bytes | None:
        """The next whole picture; None until more has arrived."""
        while self._at or self._find_start():
            if self._in_scan:
                found = _MARKER.search(self._data, self._at)
                if found is None:
                    self._at = max(self._at, len(self._data) - 1)
                    return None
                self._at, self._in_scan = found.start(), False
            if len(self._data) < self._at + 4 and self._data[self._at : self._at + 2] != _END_MARKER:
                return None
            marker = self._data[self._at + 1]
            if self._data[self._at] != 0xFF or marker in _NO_SEGMENT:
                self._cut_off()
            elif marker == 0xFF:  # a fill byte
                self._at += 1
            elif marker == _END:
                picture = bytes(self._data[: self._at + 2])
                self._forget(self._at + 2)
                return picture
            elif marker == _START:  # the picture before it was cut off
                self.skipped += 1
                self._forget(self._at)
            elif not self._skip_segment(marker):
                return None
        return None

    def _skip_segment(self, marker: int) -> bool:
        """Goes over a segment, which may hold a thumbnail with markers of its own. False until it is complete."""
        self._segment = self._at
        end = self._at + 2 + int.from_bytes(self._data[self._at + 2 : self._at + 4], "big")
        boundary = len(self._boundary) >= _SHORTEST and self._data.find(self._boundary, self._at, end) >= 0
        if boundary or (marker not in _APPLICATION and self._data.find(_PICTURE, self._at, end + 2) >= 0):
            self._cut_off()
            return True
        if len(self._data) < end:
            return False
        self._at, self._in_scan = end, marker == _SCAN
        return True

    def _cut_off(self) -> None:
        """Leaves the picture out: no marker follows the last segment, in which the next picture may have begun."""
        self.skipped += 1
        after = self._data.find(self._boundary, self._segment) if len(self._boundary) >= _SHORTEST else -1
        if after < 0:
            # A thumbnail in it is no frame.
            thumbnail = self._data[self._segment + 1] in _APPLICATION
            after = self._at if thumbnail else max(self._segment, 2)
        self._forget(after)

    def _find_start(self) -> bool:
        start = self._data.find(_PICTURE)
        between = self._data[: start if start >= 0 else len(self._data)]
        if len(self._boundary) >= _SHORTEST:
            self._parts += between.count(self._boundary)
        if start < 0:  # a part of the start or of a boundary may have arrived
            last = between.rfind(self._boundary)
            counted = last + len(self._boundary) if last >= 0 else 0
            self._forget(max(counted, len(between) - max(2, len(self._boundary) - 1)))
            return False
        self.skipped += max(0, self._parts - 1)
        self._parts = 0
        self._forget(start)
        self._at = self._segment = 2
        return True

    def _forget(self, count: int) -> None:
        del self._data[: max(0, count)]
        self._at, self._segment, self._in_scan = 0, 0, False
