"""Keeps off the terminal what C++ libraries write to standard error although nothing is wrong. Internal."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator

# LiteRT's greeting, the information and warnings of absl's log and of TensorFlow before it is set up, the converter's
# settings, and the messages of FFmpeg, OpenCV's AVI reader, libpng and libjpeg about a file or a stream: an error is
# raised as well.
_CHATTER = re.compile(
    rb"INFO: |[IW]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [IW] |"
    rb"WARNING: All log messages before absl|To enable the following|fully_quantize: |"
    rb"\[[\w,]+ @ 0x[0-9a-f]+\] |Unexpected element\. Expected: |libpng (?:error|warning): |"
    rb"Corrupt JPEG data: |Invalid SOS parameters for |Premature end of JPEG file|Inconsistent progression sequence |"
    rb"Warning: unknown JFIF revision |Unknown Adobe color transform code "
)
# Set in the environment of an IsolatedSession's child, whose parent reads what it writes.
IN_CHILD = "LINNET_ISOLATED_CHILD"
_LOCK = threading.RLock()  # two threads that both restore what they found would lose standard error


def quiet_tensorflow() -> None:
    """Asks TensorFlow, before it is imported, for errors only: a user cannot fix its warnings about Keras."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def is_chatter(line: bytes) -> bool:
    """Whether a line of standard error is irrelevant to the user."""
    return _CHATTER.match(line) is not None


@contextlib.contextmanager
def no_chatter() -> Iterator[list[str]]:
    """Captures standard error during the block: that of the process, not only Python's. At the end everything except
    the chatter is written. The child process of an ``IsolatedSession`` captures nothing.

    Yields a list, which holds the lines of chatter when the block has ended.
    """
    chatter: list[str] = []
    if IN_CHILD in os.environ:  # an abort would lose what is captured
        yield chatter
        return
    with _LOCK:
        with contextlib.suppress(OSError, ValueError):  # a closed or captured stream has nothing to flush
            sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:  # a service without a standard error
            yield chatter
            return
        # In memory: a device may have no folder for temporary files that can be written. And with few calls of the
        # system, because each of them lets go of Python's lock, for which a busy server's threads compete.
        log = os.memfd_create("standard error")
        try:
            os.dup2(log, 2)
            try:
                yield chatter
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                for line in io.BytesIO(os.pread(log, os.fstat(log).st_size, 0)):
                    if is_chatter(line):
                        chatter.append(line.decode(errors="replace").strip())
                    else:
                        os.write(2, line)
        finally:
            os.close(log)
