"""What ctrl-C, SIGTERM and SIGHUP do while the program is being imported, which takes a while. Internal.

They end it in one line: nothing has begun then, so there is nothing to clean up. A live command, which a signal ends
with a summary, is imported to the end first; its command asks ``has_arrived``.

This module imports what costs nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

_PROGRAMS = ("linnet", "linnet.exe", "cli.py")
_LIVE = ("run", "serve")
_USUAL: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
_arrived = False


def catch_signals() -> None:
    """Takes the signals whose handlers are the usual ones, where this process is the program."""
    if os.path.basename(sys.argv[0]) in _PROGRAMS:  # noqa: PTH119  # pathlib takes 10 ms to import
        handler = note_signal if sys.argv[1:2] and sys.argv[1] in _LIVE else _end
        for number, usual in _USUAL.items():
            if signal.getsignal(number) == usual:
                signal.signal(number, handler)


def release_signals() -> None:
    """Gives back what ``catch_signals`` has taken, unless the command is a live one."""
    for number, usual in _USUAL.items():
        if signal.getsignal(number) is _end:
            signal.signal(number, usual)


def has_arrived() -> bool:
    """Whether a signal has arrived since the start of a live command."""
    return _arrived


def note_signal(_number: int, _: FrameType | None) -> None:
    """The handler while a live command is imported."""
    global _arrived
    _arrived = True


def _end(number: int, _: FrameType | None) -> None:
    name = "ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    os.write(2, f"error: stopped by {name}\n".encode())
    os._exit(128 + number)
