"""``synthetic:``: the rendered conveyor belt, as a live camera or as a clip. Internal."""

from __future__ import annotations

import time

from linnet_devices.errors import Setting
from linnet_runtime.sources.addresses import take_options
from linnet_runtime.sources.api import Frame, SourceError
from linnet_runtime.synthetic.conveyor import conveyor_frames

_FRAMES_PER_SECOND = 25.0
_SEED = 0


class ConveyorSource:
    """Frames of the rendered belt: without end at their own rate, or so many of them, as fast as they are used or
    ``paced``, at that rate too.
    """

    skipped = 0

    def __init__(self, fps: float = _FRAMES_PER_SECOND, frames: int | None = None, *, paced: bool = False) -> None:
        self.live = frames is None
        self.every_frame = frames is not None
        self._paced = paced or self.live
        self._fps = fps
        self._frames = conveyor_frames(_SEED, frames, fps=fps)
        self._next_at = time.monotonic()

    def read(self) -> Frame | None:
        found = next(self._frames, None)
        if found is None:
            return None
        if self._paced:
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            # A reader that was late does not get the missed frames in a burst: a camera would have dropped them.
            self._next_at = max(self._next_at, time.monotonic()) + 1 / self._fps
        return Frame(found[0])

    def close(self) -> None:
        self._frames.close()


def open_conveyor(uri: str, *, paced: bool = False) -> ConveyorSource:
    """``synthetic:``, with ``?fps=`` (1 to 1000) for another rate, and ``frames=`` for a clip of so many frames."""
    plain, options = take_options(uri, ("fps", "frames"))
    fps, frames = options.get("fps", _FRAMES_PER_SECOND), options.get("frames")
    if plain.removeprefix("synthetic:").strip("/") or not 1 <= fps <= 1000 or (frames is not None and frames % 1):
        expected = "synthetic:, with ?fps=1 to 1000 and frames=N or nothing after it"
        raise SourceError(Setting("source"), got=repr(uri), expected=expected)
    return ConveyorSource(fps, None if frames is None else int(frames), paced=paced)


def open_paced_conveyor(uri: str) -> ConveyorSource:
    """The same, where a clip gives its frames at its rate."""
    return open_conveyor(uri, paced=True)
