"""Examines one photo of a data check: its digest, its size, how it is stored, and the hashes for comparison."""

from __future__ import annotations

import hashlib
import re
import struct
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from linnet_runtime.perceptual_hash import SIDE, color_grid, perceptual_hashes
from linnet_runtime.photos.file import PhotoFile
from linnet_runtime.photos.listing import photo_name
from linnet_runtime.preprocess import PictureError, Preprocess, preprocess, read_picture

_COMPARED = Preprocess(height=SIDE, width=SIDE, crop="stretch")
_THREADS = 4  # OpenCV and hashlib work without holding the interpreter's lock
_START = 512  # bytes, by which other files than pictures are recognized
_PNG_BIT_DEPTH = 24  # its offset in the file: IHDR is always the first chunk
_TURNED = range(2, 9)  # EXIF orientations that ask for turning or mirroring; 1 is upright
# Files that take the place of a photo when a download went wrong.
_IMPOSTORS = (
    (re.compile(rb"version https://git-lfs\."), "a git-LFS pointer instead of the photo; git lfs pull fetches it"),
    (
        re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|!--)", re.IGNORECASE),
        "an HTML page instead of the photo",
    ),
    (re.compile(rb"....ftyp(heic|heix|hevc|mif1|msf1)", re.DOTALL), "a HEIC picture under another name"),
)


@dataclass(frozen=True, slots=True)
class Examined:
    """A photo and what was found in its file."""

    name: str
    """Relative to the folder."""
    label: str
    part: str | None
    error: str = ""
    """Why it cannot be decoded; the fields below then have no meaning."""
    sha256: bytes = b""
    width: int = 0
    """Pixels, in the orientation that EXIF asks for."""
    height: int = 0
    grey: bool = False
    alpha: bool = False
    sixteen_bit: bool = False
    turned: bool = False
    """Whether EXIF asks for another orientation than the stored one."""
    hashes: NDArray[np.uint8] | None = None
    """uint8 [8, 32], of ``perceptual_hashes``."""
    colors: NDArray[np.uint8] | None = None
    """uint8 [8, 8, 3], of ``color_grid``."""


def examine_photos(folder: Path, photos: list[PhotoFile]) -> Iterator[Examined]:
    """Each photo in order, several read at a time."""
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore")  # Pillow warns about metadata that is not used here
        try:
            yield from pool.map(lambda photo: examine_photo(folder, photo), photos)
        finally:
            pool.shutdown(cancel_futures=True)  # after ctrl-C the other photos are not read


def examine_photo(folder: Path, photo: PhotoFile) -> Examined:
    """Decodes one photo as training does, and examines its file."""
    name, label = photo_name(photo, folder), photo.label
    try:
        picture = read_picture(photo.path)
    except PictureError as error:
        return Examined(name, label, photo.part, error=_impostor(photo.path) or str(error.got))
    pixels = preprocess(picture, _COMPARED, color="bgr")
    height, width = picture.shape[:2]
    with photo.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        alpha, sixteen_bit, turned = _storage(file)
    return Examined(
        name,
        label,
        photo.part,
        sha256=digest,
        width=width,
        height=height,
        grey=bool((pixels == pixels[..., :1]).all()),
        alpha=alpha,
        sixteen_bit=sixteen_bit,
        turned=turned,
        hashes=perceptual_hashes(pixels),
        colors=color_grid(pixels),
    )


def _impostor(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return None
    return next((what for pattern, what in _IMPOSTORS if pattern.match(start)), None)


def _storage(file: BinaryIO) -> tuple[bool, bool, bool]:
    """Whether it has an alpha channel, 16 bits per channel, an EXIF rotation. OpenCV does not report these."""
    file.seek(0)
    try:
        with Image.open(file) as image:  # reads the header, not the pixels
            alpha = "A" in image.getbands() or "transparency" in image.info
            bits, orientation = 8, None
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                bits = max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,)))
                orientation = image.tag_v2.get(ExifTags.Base.Orientation)
            elif "exif" in image.info:
                exif = Image.Exif()
                exif.load(image.info["exif"])
                orientation = exif.get(ExifTags.Base.Orientation)
            if image.format == "PNG":
                file.seek(_PNG_BIT_DEPTH)
                bits = file.read(1)[0]
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        return False, False, False  # Pillow cannot read the metadata of a picture that was decoded
    return alpha, bits == 16, orientation in _TURNED
