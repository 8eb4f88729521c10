"""Damaged pictures that a decoder accepts. Internal."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from linnet_devices.api import Pixels
from linnet_devices.chatter import no_chatter
from linnet_runtime.preprocess import PictureError, read_picture

logger = logging.getLogger("linnet")

# libjpeg fills what it could not read with gray, and only writes a line. Stray bytes, of which it writes too, are
# harmless.
_DAMAGE = re.compile("premature end|bad Huffman code|instead of RST", re.IGNORECASE)


@contextlib.contextmanager
def whole_picture(name: str) -> Iterator[None]:
    """For a block that decodes a picture: what the decoder writes to standard error is captured, and a picture of
    which it could not read a part is a PictureError.
    """
    with no_chatter() as said:
        yield
    if any(map(_DAMAGE.search, said)):
        raise PictureError(name, got="a JPEG that is damaged or cut short", expected="a whole picture")


def read_whole_picture(path: Path) -> Pixels | None:
    """The picture of a file; None, after a warning, where it cannot be read or is damaged."""
    try:
        with whole_picture(str(path)):
            return read_picture(path)
    except PictureError as error:
        logger.warning("left out: %s", error)
        return None
