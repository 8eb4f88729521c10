"""Standard input, output and error where the caller has closed them, or nobody reads them. Internal."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
from typing import TextIO


class StandardErrorHandler(logging.StreamHandler[TextIO]):
    """Writes log lines to standard error as it is at that moment: a view on the terminal takes its place, so that lines
    appear above the view.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def open_closed_streams() -> None:
    """Gives each closed standard stream its number back. Otherwise the next file that is opened gets it, and a library
    that writes to standard error would write into that file.

    Closed output stays an error on use; closed input and errors are empty.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def reader_has_gone() -> bool:
    """Whether standard output or error is a pipe that nobody reads any more, as after ``| head -1``."""
    poll = select.poll()
    for number in (1, 2):
        poll.register(number, 0)  # errors are always reported
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def discard_unwritten_output() -> bool:
    """Whether standard output cannot be written, on a full disk for example. What it holds back is thrown away then;
    otherwise Python would try again when it exits, and print a second error.
    """
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
