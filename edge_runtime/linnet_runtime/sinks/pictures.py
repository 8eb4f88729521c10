"""Frames as the sinks use them: BGR pixels and JPEG files. Internal."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.sources.api import Frame

_TO_BGR = {"rgb": cv2.COLOR_RGB2BGR, "gray": cv2.COLOR_GRAY2BGR}


def bgr_pixels(frame: Frame) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] in BGR; the frame's own pixels where they are that."""
    return frame.pixels if frame.color == "bgr" else cv2.cvtColor(frame.pixels, _TO_BGR[frame.color])


def jpeg(frame: Frame, *, longest_side: int | None = None, quality: int = 85) -> bytes:
    """The frame as a JPEG file, shrunk to ``longest_side`` pixels where it is larger."""
    pixels = bgr_pixels(frame)
    height, width = pixels.shape[:2]
    if longest_side is not None and max(height, width) > longest_side:
        scale = longest_side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
