"""SIGTERM and SIGHUP as exceptions, so that what a command has begun is cleaned up as ctrl-C has it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

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


@contextlib.contextmanager
def ended_by_signals(end: Callable[[], object]) -> Iterator[None]:
    """Calls ``end`` on ctrl-C, SIGTERM and SIGHUP instead of raising, each time that one arrives. For a command that
    runs until it is stopped: nothing has failed then. Once one has arrived, further ones are ignored to the end of the
    program: it is ending.
    """
    arrived = False

    def take(_number: int, _frame: FrameType | None) -> None:
        nonlocal arrived
        arrived = True
        end()

    taken = [signal.SIGINT, *(number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN)]
    before = {number: signal.signal(number, take) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if arrived else handler)
