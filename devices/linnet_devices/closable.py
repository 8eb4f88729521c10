"""What has to be closed, and warns where it was not. Internal."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import warnings
import weakref
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closable(ABC):
    """A context manager that holds a device, a camera, a process or a thread. One that was never closed is a
    ResourceWarning when Python drops it or when the program ends, and is closed then.

    A subclass implements ``_release``, and calls ``_opened`` at the end of its constructor.
    """

    _open = False

    @abstractmethod
    def _release(self) -> None:
        """Frees what is held; called once."""

    def _opened(self) -> None:
        self._open = True
        _OPEN[next(_NUMBERS)] = self

    def _described(self) -> str:
        return type(self).__name__

    def close(self) -> None:
        """Frees what is held. Closing twice does nothing."""
        if self._open:
            self._open = False
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._close_forgotten()

    def _close_forgotten(self) -> None:
        if self._open:
            try:
                # It raises where warnings are errors.
                warnings.warn(f"unclosed {self._described()}", ResourceWarning, stacklevel=3, source=self)
            finally:
                self.close()


_OPEN: weakref.WeakValueDictionary[int, Closable] = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


@atexit.register
def _close_at_exit() -> None:
    """An object whose thread still runs is never dropped: the end of the program is the last occasion to warn. The
    newest is closed first, because it may use an older one.
    """
    for _, closable in sorted(_OPEN.items(), reverse=True):
        with contextlib.suppress(ResourceWarning):  # an error here would keep the others open
            closable._close_forgotten()
