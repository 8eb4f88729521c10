"""The only resize, crop and colour code in the project: any picture to the uint8 RGB pixels of a model's input.

It runs in training, calibration, parity, the benchmark and on the device, and its bytes are a contract: golden hashes
in the tests hold it to the same pixels under OpenCV 4.11 and 5.0.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Literal

# OpenCV reads its bound on a picture's size when it is loaded; its own, 2**30 pixels, is 3 GB in memory.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "200000000")
# Its log repeats, on standard error and in other words, what our errors say.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, Pixels

Color = Literal["bgr", "rgb", "gray"]
_TO_RGBA = {"bgr": cv2.COLOR_BGR2RGBA, "rgb": cv2.COLOR_RGB2RGBA, "gray": cv2.COLOR_GRAY2RGBA}
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_MOST_BYTES = 100_000_000  # a picture file larger than this is a mistake, or an attack on memory
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"BM": "BMP",
    b"RIFF": "WebP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}


class PictureError(LinnetError):
    """A picture that cannot be read or decoded."""


class Preprocess(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a picture becomes a model's input: the size in pixels, and how its sides are made to fit.

    ``crop`` is ``"centre"`` (the largest centred part of the model's aspect) or ``"stretch"`` (the whole picture).
    """

    height: int
    width: int
    crop: Literal["centre", "stretch"] = "centre"


def preprocess(picture: NDArray[np.uint8], spec: Preprocess, *, color: Color) -> Pixels:
    """A decoded picture or a camera's frame to the model's pixels.

    Args:
        picture: uint8 [H, W, 3], or [H, W] with ``color="gray"``.
        spec: the model's own, from its bundle or run.
        color: the order of the picture's channels; OpenCV and most cameras give ``"bgr"``.

    Returns:
        uint8 [spec.height, spec.width, 3], RGB.

    Raises:
        LinnetError: another dtype or shape.
    """
    channels = () if color == "gray" else (3,)
    if picture.dtype != np.uint8 or picture.ndim < 2 or picture.shape[2:] != channels or 0 in picture.shape:
        expected = "uint8 [H, W]" if color == "gray" else "uint8 [H, W, 3]"
        raise LinnetError(f"{color} picture", got=f"{picture.dtype} {list(picture.shape)}", expected=expected)
    if spec.crop == "centre":
        picture = _centre_crop(picture, spec.height / spec.width)
    picture = _halve(picture, spec.height, spec.width)
    # OpenCV resizes four channels in three quarters of the time that it takes for three.
    between = _between.arrays
    picture = between["rgba"] = cv2.cvtColor(picture, _TO_RGBA[color], dst=between.get("rgba"))
    if picture.shape[:2] != (spec.height, spec.width):
        size = (spec.width, spec.height)
        picture = between["fit"] = cv2.resize(
            picture, size, dst=between.get("fit"), interpolation=cv2.INTER_LINEAR_EXACT
        )
    return cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB)


class _Between(threading.local):
    """A thread's arrays for the steps in between, which OpenCV fills again where the next picture has the same size.
    New ones for every frame cost as much in page faults as all of the resizing.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[np.uint8]] = {}


_between = _Between()


def _centre_crop(picture: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8]:
    """The largest centred part with height / width = aspect, at least one pixel each way."""
    height, width = picture.shape[:2]
    crop_height = max(1, min(height, round(width * aspect)))
    crop_width = max(1, min(width, round(height / aspect)))
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return picture[top : top + crop_height, left : left + crop_width]


def _halve(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Exact halving with INTER_AREA until neither side can be halved again: with INTER_LINEAR_EXACT after it, that is
    antialiased, and the same bytes on every build.

    INTER_LINEAR alone is faster and aliases; INTER_AREA alone takes five times as long; neither gives the same bytes
    on every processor and version.
    """
    between = _between.arrays
    halvings = 0
    while picture.shape[0] >= 2 * height and picture.shape[1] >= 2 * width:
        halvings += 1
        half_height, half_width = picture.shape[0] // 2, picture.shape[1] // 2
        even = picture[: 2 * half_height, : 2 * half_width]
        step = f"half {halvings}"
        picture = between[step] = cv2.resize(
            even, (half_width, half_height), dst=between.get(step), interpolation=cv2.INTER_AREA
        )
    return picture


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decodes a picture file: uint8 [H, W, 3] BGR, turned as its EXIF says, alpha dropped, 16 bits scaled to 8.

    Raises:
        PictureError: it cannot be read, is empty, too large, or not a picture.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise PictureError(str(path), got=f"{size} bytes", expected=f"at most {_MOST_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(
            str(path), got=error.strerror or str(error), expected="a picture that can be read"
        ) from error
    return decode_picture(data, str(path))


def decode_picture(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decodes a picture in memory; see ``read_picture``. ``name`` is for the error's line."""
    if not data:
        raise PictureError(name, got="an empty file", expected="a picture")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise PictureError(name, got=error.err or str(error), expected="a picture") from error
    if picture is None:
        kind = next((kind for signature, kind in _SIGNATURES.items() if data.startswith(signature)), None)
        got = f"a {kind} that is damaged or cut short" if kind else f"{len(data)} bytes that start with {data[:12]!r}"
        raise PictureError(name, got=got, expected="a picture")
    return picture
