"""A simulated camera: it follows a script, so that a test decides when a frame comes and when the camera dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.small_bundle import SIDE
from linnet_runtime.sources.api import Frame, Source, SourceError
from program import PATIENCE_S

Step = Frame | Exception | threading.Event | Callable[[], None]


def frame_of(label: int) -> Frame:
    """A frame that the simulated device gives this label, an index."""
    pixels = np.full((SIDE, SIDE, 3), 10, np.uint8)
    pixels[:, label * SIDE // 3 : (label + 1) * SIDE // 3] = 200
    return Frame(pixels)


def pixels_of(label: int) -> NDArray[np.uint8]:
    """RGB pixels, uint8 [12, 12, 3], whose label the simulated device knows."""
    return np.ascontiguousarray(frame_of(label).pixels[:, :, ::-1])


def picture_of(label: int) -> bytes:
    """The same as a PNG."""
    return cv2.imencode(".png", frame_of(label).pixels)[1].tobytes()


BOLT, NUT, WASHER = frame_of(0), frame_of(1), frame_of(2)


class SimulatedCamera:
    """Plays its script: gives a frame, raises an error, waits for an event, calls a function; then it has ended."""

    def __init__(self, script: Iterable[Step], *, live: bool = True) -> None:
        self.live, self.every_frame = live, not live
        self.closed = 0
        self.skipped = 0
        self._script = iter(script)

    def read(self) -> Frame | None:
        assert not self.closed, "read after close"
        for step in self._script:
            if isinstance(step, Frame):
                return step
            if isinstance(step, Exception):
                raise step
            if isinstance(step, threading.Event):
                assert step.wait(PATIENCE_S), "the test never let the camera go on"
            else:
                step()
        return None

    def close(self) -> None:
        self.closed += 1


def openings(*results: Source | SourceError) -> Callable[[], Source]:
    """What each opening of the source gives, in order; a further one is the test's mistake."""
    remaining = iter(results)

    def open_source() -> Source:
        result = next(remaining)
        if isinstance(result, SourceError):
            raise result
        return result

    return open_source


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("linnet-source")]
