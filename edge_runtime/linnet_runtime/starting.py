"""Ends the program in one line when ctrl-C, SIGTERM or SIGHUP arrives while it is being imported, which takes a while.

It imports what costs nothing. Nothing has begun then, so there is nothing to clean up.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

_PROGRAMS = ("linnet", "linnet.exe", "cli.py")
_USUAL: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


def catch_signals() -> None:
    """Takes the signals whose handlers are the usual ones, where this process is the program."""
    if os.path.basename(sys.argv[0]) in _PROGRAMS:  # noqa: PTH119  # pathlib takes 10 ms to import
        for number, usual in _USUAL.items():
            if signal.getsignal(number) == usual:
                signal.signal(number, _end)


def release_signals() -> None:
    """Gives back what ``catch_signals`` has taken."""
    for number, usual in _USUAL.items():
        if signal.getsignal(number) is _end:
            signal.signal(number, usual)


def _end(number: int, _: FrameType | None) -> None:
    name = "ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    os.write(2, f"error: stopped by {name}\n".encode())
    os._exit(128 + number)
