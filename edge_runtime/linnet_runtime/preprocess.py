"""The only code in the project that reads, crops, resizes or converts pictures: from any picture to a model's input.
Internal.

Training, calibration, proofs, benchmarks and devices all run it. Its bytes are a contract: golden hashes in the tests
require the same pixels from OpenCV 4.11 and 5.0.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import LinnetError, Pixels
from linnet_runtime.crops import Crop
from linnet_runtime.files.folders import read_regular
from linnet_runtime.picture_header import FORMATS, PictureFormat, PictureHeader, read_header

Color = Literal["bgr", "rgb", "gray"]
BORDER = 128
"""The value of each channel in the border of ``crop = "pad"``: the zero of the input of a model that Linnet trains."""
_TO_RGBA = {"bgr": cv2.COLOR_BGR2RGBA, "rgb": cv2.COLOR_RGB2RGBA, "gray": cv2.COLOR_GRAY2RGBA}
PICTURE_SUFFIXES = frozenset(suffix for known in FORMATS for suffix in known.suffixes)
"""The ends of the names of pictures, in lower case: what classify, run, train and data check read of a folder."""
_MOST_PIXELS_VARIABLE = "LINNET_MAX_PIXELS"
_MOST_PIXELS = 50_000_000  # 150 MB decoded, and as much again while it is turned
_MOST_BYTES = 100_000_000  # a picture file larger than this is a mistake, or an attack on memory
# OpenCV's codes for flipping: 0 top and bottom, 1 left and right, -1 both. EXIF's orientations 5 to 8 are transposed
# before.
_MIRRORS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}


class PictureError(LinnetError):
    """A picture that cannot be read or decoded."""


class Preprocess(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a picture becomes a model's input."""

    height: int
    """Height of the model's input in pixels."""
    width: int
    """Width of the model's input in pixels."""
    crop: Crop = "centre"
    """``"centre"``: the largest centred part with the aspect of the model's input; ``"stretch"``: the whole picture,
    distorted; ``"pad"``: the whole picture with its aspect kept, centred in a border of ``BORDER`` (a letterbox)."""


def preprocess(picture: NDArray[np.uint8], spec: Preprocess, *, color: Color) -> Pixels:
    """Crops and resizes a decoded picture or a camera's frame to the pixels of a model's input.

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
    height, width = (spec.height, spec.width) if spec.crop != "pad" else _fitted(picture, spec.height, spec.width)
    picture = _halve(picture, height, width)
    # OpenCV resizes four channels in three quarters of the time that it takes for three.
    between = _between.arrays
    picture = between["rgba"] = cv2.cvtColor(picture, _TO_RGBA[color], dst=between.get("rgba"))
    if picture.shape[:2] != (height, width):
        size = (width, height)
        picture = between["fit"] = cv2.resize(
            picture, size, dst=between.get("fit"), interpolation=cv2.INTER_LINEAR_EXACT
        )
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB)
    return _bordered(pixels, spec.height, spec.width) if spec.crop == "pad" else pixels


class _Between(threading.local):
    """The arrays of one thread for intermediate steps, which OpenCV reuses when the next picture has the same size. New
    arrays for every frame cost as much in page faults as the resizing itself.
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


def _fitted(picture: NDArray[np.uint8], height: int, width: int) -> tuple[int, int]:
    """The largest height and width with the picture's aspect that fit, at least one pixel each way. Halves round up."""
    own_height, own_width = picture.shape[:2]
    if own_height * width >= own_width * height:
        return height, max(1, (2 * own_width * height + own_height) // (2 * own_height))
    return max(1, (2 * own_height * width + own_width) // (2 * own_width)), width


def _bordered(pixels: Pixels, height: int, width: int) -> Pixels:
    """Centred in a border; where it is uneven, the right and the lower side have one pixel more."""
    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    bottom, right = height - pixels.shape[0] - top, width - pixels.shape[1] - left
    return cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(BORDER,) * 3)


def _halve(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Halves a picture exactly with INTER_AREA while both sides stay large enough. Followed by INTER_LINEAR_EXACT,
    this is antialiased and gives the same bytes on every build.

    INTER_LINEAR alone is faster and aliases; INTER_AREA alone takes five times as long. Neither gives the same bytes on
    every processor and version.
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


def read_picture(path: str | Path) -> NDArray[np.uint8]:
    """Decodes a picture file: the first picture in it, turned as its EXIF says, without alpha, in 8 bits a channel.

    Returns:
        uint8 [H, W, 3], BGR.

    Raises:
        PictureError: the file cannot be read, is not a regular file, is larger than 100 MB, is not a picture in one of
            the formats of ``PICTURE_SUFFIXES``, is damaged, or has more pixels than ``LINNET_MAX_PIXELS`` in the
            environment allows (50,000,000 where it is not set).
    """
    try:
        data = read_regular(Path(path), _MOST_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        got = getattr(error, "strerror", None) or str(error)
        raise PictureError(str(path), got=got, expected="a picture that can be read") from error
    return decode_picture(data, str(path))


def decode_picture(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decodes a picture in memory; see ``read_picture``. ``name`` stands for the picture in an error's line."""
    header = _checked_header(data, name)
    # OpenCV turns some formats as EXIF says; which ones depends on its version, so that ``_turn`` does it instead.
    flags = cv2.IMREAD_COLOR if header.orientation is None else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        got = f"a {header.format.name} that OpenCV refuses: {error.err or error}"
        raise PictureError(name, got=got, expected="a picture") from error
    if picture is None and not cv2.haveImageWriter(header.format.suffixes[0]):  # it has both reader and writer, or none
        raise PictureError(
            name,
            got=f"{header.format.name}, which OpenCV {cv2.__version__} was built without",
            expected="a format that it reads",
            fix="save the picture as JPEG or PNG, or install opencv-python-headless 5",
        )
    if picture is None or picture.dtype != np.uint8 or picture.shape[2:] != (3,):
        raise _damaged(name, header.format)
    return _turn(picture, header.orientation or 1)


def _checked_header(data: bytes, name: str) -> PictureHeader:
    """The header of a picture that is worth decoding; raises PictureError for any other."""
    if not data:
        raise PictureError(name, got="an empty file", expected="a picture")
    header = read_header(data)
    if header is None:
        names = [known.name for known in FORMATS]
        expected = f"{', '.join(names[:-1])} or {names[-1]}"
        raise PictureError(name, got=f"{len(data)} bytes that start with {data[:12]!r}", expected=expected)
    if header.size is None:
        raise _damaged(name, header.format)
    width, height = header.size
    if width * height > (most := _most_pixels()):
        raise PictureError(
            name,
            got=f"{width} x {height} pixels",
            expected=f"at most {most} pixels",
            fix=f"a smaller picture, or {_MOST_PIXELS_VARIABLE}={width * height} in the environment",
        )
    if header.white is not None:
        raise PictureError(
            name,
            got=f"a {header.format.name} in which {header.white} is white",
            expected="255, or 65535 in 16 bits",
            fix="scale its values, or save it as PNG",
        )
    return header


def _damaged(name: str, picture_format: PictureFormat) -> PictureError:
    return PictureError(name, got=f"a {picture_format.name} that is damaged or cut short", expected="a picture")


def _most_pixels() -> int:
    """The pixel limit. Raises LinnetError where the user's is not a number."""
    wanted = os.environ.get(_MOST_PIXELS_VARIABLE, str(_MOST_PIXELS))
    if not wanted.isdecimal():
        raise LinnetError(_MOST_PIXELS_VARIABLE, got=repr(wanted), expected="a number of pixels, such as 50000000")
    return int(wanted)


def _turn(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored pixels as they are to be seen, by EXIF's orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):  # the rows are columns
        picture = cv2.transpose(picture)
    if orientation in _MIRRORS:
        picture = cv2.flip(picture, _MIRRORS[orientation])
    return picture
