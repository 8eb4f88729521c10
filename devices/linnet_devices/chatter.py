"""What C++ libraries write to standard error although nothing is wrong, kept from the user's terminal."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# LiteRT's greeting, the information and warnings of absl's log and of TensorFlow before it is set up, and the
# converter's settings.
_CHATTER = re.compile(
    rb"INFO: |[IW]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [IW] |"
    rb"WARNING: All log messages before absl|To enable the following|fully_quantize: "
)


@contextlib.contextmanager
def no_chatter() -> Iterator[None]:
    """Holds standard error back for the block, the process's own and not just Python's; at the end everything that is
    not chatter is written after all.
    """
    with contextlib.suppress(OSError, ValueError):  # a closed or captured stream has nothing to flush
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # a service without a standard error
        yield
        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            log.seek(0)
            for line in log:
                if not _CHATTER.match(line):
                    os.write(2, line)
