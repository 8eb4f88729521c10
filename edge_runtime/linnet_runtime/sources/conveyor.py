"""``synthetic:`` — the rendered conveyor belt as a live camera at its own rate."""

from __future__ import annotations

import time

from linnet_devices.errors import Setting
from linnet_runtime.sources.api import Frame, SourceError
from linnet_runtime.synthetic.conveyor import conveyor_frames

_FRAMES_PER_SECOND = 25.0
_SEED = 0


class ConveyorSource:
    """Frames of the rendered belt, one every 40 ms, without end."""

    live = True
    skipped = 0

    def __init__(self) -> None:
        self._frames = conveyor_frames(_SEED, None, fps=_FRAMES_PER_SECOND)
        self._next_at = time.monotonic()

    def read(self) -> Frame | None:
        pixels, _ = next(self._frames)
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        # A reader that was late does not get the missed frames in a burst: a camera would have dropped them.
        self._next_at = max(self._next_at, time.monotonic()) + 1 / _FRAMES_PER_SECOND
        return Frame(pixels)

    def close(self) -> None:
        self._frames.close()


def open_conveyor(uri: str) -> ConveyorSource:
    """``synthetic:`` and nothing after it."""
    if uri.removeprefix("synthetic:").strip("/"):
        raise SourceError(Setting("source"), got=repr(uri), expected="synthetic: and nothing after it")
    return ConveyorSource()
