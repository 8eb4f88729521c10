"""The protocol of a source: an object that gives one frame after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError
from linnet_runtime.preprocess import Color


class SourceError(LinnetError):
    """A camera, stream, file or folder that cannot be opened."""


@dataclass(frozen=True)
class Frame:
    """A frame of a source."""

    pixels: NDArray[np.uint8]
    """uint8 [H, W, 3], or [H, W] where ``color`` is "gray"."""
    color: Color = "bgr"
    """The order of the channels."""
    captured_at: float = field(default_factory=time.time)
    """When the camera took it, in seconds since the epoch; when it arrived, where the camera does not give the time."""
    captured_monotonic: float = field(default_factory=time.monotonic)
    """The same moment on the monotonic clock, in seconds: frame ages are measured with it."""


class _Waiting(Enum):
    NO_FRAME_YET = "no frame yet"


NO_FRAME_YET: Final = _Waiting.NO_FRAME_YET
"""What ``Source.read`` returns where no frame has come yet, and one may still come."""
NoFrameYet = Literal[_Waiting.NO_FRAME_YET]


class Source(Protocol):
    """Gives frames. ``read`` is called from one thread, and ``close`` after it has returned."""

    @property
    def live(self) -> bool:
        """True for a camera or a stream: it is opened again when it ends. False for a file: its end is the end of the
        run.
        """

    @property
    def every_frame(self) -> bool:
        """Whether every frame matters, as of a file, and reading waits for them to be used. False for a camera: only
        its newest frame matters.
        """

    @property
    def skipped(self) -> int:
        """How many damaged frames or pictures were left out since the source was opened. Any thread may read it."""

    def read(self) -> Frame | NoFrameYet | None:
        """The next frame, or None at the end.

        It returns within a few seconds, because the thread that calls it may have to end. A source whose frames are
        further apart returns ``NO_FRAME_YET``, and is called again.

        Raises:
            SourceError: the frames cannot be used. A live source that has given frames is then opened again.
        """

    def close(self) -> None:
        """Frees the camera or file. Closing twice does nothing."""
