"""A mailbox with one slot, between the thread that reads frames and the one that classifies them. Not public."""

from __future__ import annotations

import threading

from linnet_runtime.sources.api import Frame


class Mailbox:
    """Keeps the newest frame. With ``keep_all`` the writer waits instead until the slot is empty."""

    dropped: int
    """Frames that were replaced before they were read."""

    def __init__(self, *, keep_all: bool) -> None:
        self.dropped = 0
        self._keep_all = keep_all
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False
        self._error: Exception | None = None

    def put(self, frame: Frame) -> bool:
        """Puts a frame into the slot. Returns False where the mailbox is closed and the writer has to stop."""
        with self._changed:
            if self._keep_all:
                self._changed.wait_for(lambda: self._frame is None or self._closed)
            if self._closed:
                return False
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()
            return True

    def get(self) -> Frame | None:
        """Waits for a frame and takes it; None once closed and empty. Raises the error that ``close`` received."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._closed)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def close(self, error: Exception | None = None) -> None:
        """Accepts no more frames. A frame in the slot can still be taken."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()
