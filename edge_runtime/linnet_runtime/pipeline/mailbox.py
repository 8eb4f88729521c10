"""A mailbox between the threads that read cameras and the one that classifies: a slot for each camera. Internal."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Note = TypeVar("Note")

_MOST_NOTES = 1000
_AHEAD = 4  # items of a camera that keeps all: a reader that the system makes wait does not make the device wait
_FEW = 2  # with so many left, a reader that waits goes on: to wake it for each takes the device's time


class Mailbox(Generic[Item, Note]):
    """Keeps each camera's newest item. Where a camera keeps all, its writer waits instead until one of a few is taken.

    Notes (events) keep their order, also among the items; when nobody takes them the oldest are lost.
    """

    dropped: list[int]
    """Items that were replaced before they were taken, by camera."""

    def __init__(self, keep_all: Sequence[bool]) -> None:
        self.dropped = [0] * len(keep_all)
        self._keep_all = keep_all
        self._changed = threading.Condition()
        self._slots: list[deque[tuple[int, Item]]] = [deque() for _ in keep_all]
        self._notes: deque[tuple[int, Note]] = deque(maxlen=_MOST_NOTES)
        self._first_notes: deque[Note] = deque(maxlen=_MOST_NOTES)
        self._count = 0  # of items and notes, for their order
        self._ended = [False] * len(keep_all)
        self._next = 0
        self._closed = False
        self._error: Exception | None = None

    def put(self, camera: int, item: Item) -> bool:
        """Puts an item into a camera's slot. Returns False where the mailbox is closed and the writer has to stop."""
        with self._changed:
            slot = self._slots[camera]
            if self._keep_all[camera] and len(slot) == _AHEAD:
                self._changed.wait_for(lambda: len(slot) <= _FEW or self._closed)
            if self._closed:
                return False
            if slot and not self._keep_all[camera]:
                slot.clear()
                self.dropped[camera] += 1
            slot.append((self._next_number(), item))
            self._changed.notify_all()
            return True

    def post(self, note: Note, *, first: bool = False) -> None:
        """Adds a note; with ``first`` it comes before all items. It never waits."""
        with self._changed:
            if first:
                self._first_notes.append(note)
            else:
                self._notes.append((self._next_number(), note))
            self._changed.notify_all()

    def first_notes(self) -> list[Note]:
        """Takes the notes that come before all items."""
        if not self._first_notes:  # nearly always, and the lock takes time between two inferences
            return []
        with self._changed:
            taken = list(self._first_notes)
            self._first_notes.clear()
            return taken

    def get(self) -> tuple[list[Note], Item | None] | None:
        """Waits and takes: the item of the camera whose turn it is, with the notes from before it; or all notes.

        None once closed, or once all cameras have ended, and all is taken. Raises the error that ``close`` received.
        """
        with self._changed:
            self._changed.wait_for(self._is_due)
            number, item = self._take() or (self._count + 1, None)
            notes = self.first_notes() + self._notes_before(number)
            if item is None and not notes:
                if self._error is not None:
                    raise self._error
                return None
            return notes, item

    def end(self, camera: int) -> None:
        """A camera gives no more items."""
        with self._changed:
            self._ended[camera] = True
            self._changed.notify_all()

    def close(self, error: Exception | None = None) -> None:
        """Accepts no more items. Those in the slots can still be taken."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()

    def _is_due(self) -> bool:
        return any(self._slots) or bool(self._notes or self._first_notes) or self._is_over()

    def _is_over(self) -> bool:
        return self._closed or all(self._ended)

    def _next_number(self) -> int:
        self._count += 1
        return self._count

    def _notes_before(self, number: int) -> list[Note]:
        taken = []
        while self._notes and self._notes[0][0] < number:
            taken.append(self._notes.popleft()[1])
        return taken

    def _take(self) -> tuple[int, Item] | None:
        """The item of the first camera in turn that has one, so that a fast camera does not silence a slow one."""
        for offset in range(len(self._slots)):
            camera = (self._next + offset) % len(self._slots)
            if self._slots[camera]:
                self._next = camera + 1
                item = self._slots[camera].popleft()
                if len(self._slots[camera]) <= _FEW:
                    self._changed.notify_all()
                return item
        return None
