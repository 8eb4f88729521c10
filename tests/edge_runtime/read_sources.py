"""Pictures and clips that the tests of sources write, and the frames that they read of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from linnet_runtime.sources import Frame, Source


def read_all(source: Source) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def brightness(frames: list[Frame]) -> list[float]:
    """The frames' mean value to the next ten: how a test tells them apart."""
    return [round(float(frame.pixels.mean()), -1) for frame in frames]


def grey(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    grain = np.random.default_rng(value).integers(-5, 6, (height, width, 3))
    return np.clip(value + grain, 0, 255).astype(np.uint8)


def write_clip(path: Path, values: list[int]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    assert writer.isOpened()
    for value in values:
        writer.write(grey(value, 240, 320))
    writer.release()
    return path
