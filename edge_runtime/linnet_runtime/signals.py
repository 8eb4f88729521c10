"""SIGTERM and SIGHUP as exceptions, so that what a command has begun is cleaned up as ctrl-C has it. Internal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from linnet_runtime.starting import has_arrived, note_signal

STOPPING = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """The process has received SIGTERM or SIGHUP. Everything that handles ctrl-C handles it too."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = signal.Signals(number)


def _raise_stopped(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


@contextlib.contextmanager
def signals_stop() -> Iterator[None]:
    """Raises ``Stopped`` in the main thread where SIGTERM or SIGHUP would end the process. One that is ignored, as
    nohup has it, or handled stays as it is.
    """
    taken = [number for number in STOPPING if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        taken = []  # only the main thread can take signals
    for number in taken:
        signal.signal(number, _raise_stopped)
    try:
        yield
    finally:
        for number in taken:
            if signal.getsignal(number) is _raise_stopped:  # what ends already ignores it
                signal.signal(number, signal.SIG_DFL)


class Ending:
    """How ctrl-C, SIGTERM and SIGHUP end a command that runs until it is stopped: nothing has failed then."""

    arrived: bool
    """Whether one has arrived."""

    def __init__(self) -> None:
        self.arrived = has_arrived()
        self._raises = False
        self._end: Callable[[], object] | None = None

    def may_raise(self) -> None:
        """From now on the first signal raises ``Stopped`` in the main thread, for what takes long and must be given up.
        It is raised at once where one has arrived. Libraries make other errors of it, so ask ``arrived`` at any.
        """
        self._raises = True
        if self.arrived:
            raise Stopped(signal.SIGTERM)

    def calls(self, end: Callable[[], object] | None) -> None:
        """From now on no signal raises, and each calls ``end``, which is called at once where one has arrived."""
        self._raises, self._end = False, end
        if self.arrived and end is not None:
            end()

    def take(self, number: int, _: FrameType | None) -> None:
        """The handler."""
        first, self.arrived = not self.arrived, True
        if self._end is not None:
            self._end()
        elif first and self._raises:
            raise Stopped(number)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[Ending]:
    """Takes ctrl-C, SIGTERM and SIGHUP, which then do what ``Ending`` says. At first they are only noted.

    Once one has arrived, further ones are ignored to the end of the program, and in the program itself they are in any
    case: it is ending.
    """
    ending = Ending()
    taken = [signal.SIGINT, *(number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN)]
    before = {number: signal.signal(number, ending.take) for number in taken}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            ignored = ending.arrived or handler is note_signal
            signal.signal(number, signal.SIG_IGN if ignored else handler)
