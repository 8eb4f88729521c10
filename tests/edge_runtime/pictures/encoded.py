"""A picture in every format, with and without EXIF."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.golden import picture

# What turns an upright picture into the pixels that a camera stores under each EXIF orientation.
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}
FRAME = cv2.GaussianBlur(picture(48, 64, "bgr"), (0, 0), 2)
EXIF_6 = {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"}


def encode(suffix: str, pixels: NDArray[np.generic] = FRAME) -> bytes:
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels))
    assert done
    return data.tobytes()


def pillow_encode(suffix: str, pixels: NDArray[np.uint8] = FRAME, **options: object) -> bytes:
    """The picture in the format that Pillow gives the suffix, lossless where the format can be."""
    lossless = {".webp": {"lossless": True}, ".avif": {"quality": 95}, ".jp2": {"irreversible": False}}
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
    image.save(buffer, Image.registered_extensions()[suffix], **lossless.get(suffix, {}), **options)
    return buffer.getvalue()


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def skip_without(suffix: str) -> None:
    if not cv2.haveImageWriter(suffix):
        pytest.skip(f"OpenCV {cv2.__version__} is built without {suffix}")


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that holds nothing but the orientation."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def mean_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())
