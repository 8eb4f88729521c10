"""What a source is: something that gives frames one after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError
from linnet_runtime.preprocess import Color


class SourceError(LinnetError):
    """A camera, stream, file or folder that cannot be opened."""


@dataclass(frozen=True)
class Frame:
    """A frame: ``pixels`` uint8 [H, W, 3] (or [H, W] where ``color`` is "gray")."""

    pixels: NDArray[np.uint8]
    color: Color = "bgr"
    captured_at: float = field(default_factory=time.time)
    """When the camera took it, or when it was decoded where the camera does not say: seconds since the epoch."""
    captured_monotonic: float = field(default_factory=time.monotonic)
    """The same moment on the clock that ages are measured with, in seconds."""


class Source(Protocol):
    """Frames from somewhere. ``read`` is called from one thread; ``close`` after it has returned."""

    @property
    def live(self) -> bool:
        """Whether frames keep coming whether or not they are read: a camera. Of those only the newest matters, and one
        that ends is lost and has to be opened again. Of a file every frame matters, and its end is the end.
        """

    def read(self) -> Frame | None:
        """The next frame, or None at the end."""

    def close(self) -> None:
        """Frees the camera or file. Closing twice does nothing."""
