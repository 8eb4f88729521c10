"""A pipe by which a child process ends with its parent, however that ends. Internal."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys


def end_with(life: int) -> None:
    """Has the kernel kill this process when the other end of a pipe is closed, as the parent's death does.

    Neither a thread nor a handler of Python's would do: an engine that hangs may hold the interpreter's lock. Nor would
    PR_SET_PDEATHSIG: it comes when the parent's thread ends, not its process.

    Args:
        life: the descriptor of the pipe's end for reading.
    """
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([life], [], [], 0)[0]:  # it was closed before
        sys.exit(1)
