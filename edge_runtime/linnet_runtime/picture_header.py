"""What the header of a picture file says, read without decoding the picture: format, size and orientation. Internal.

The size has to be known before decoding, because a small file can ask for gigabytes. The orientation has to be read
here because OpenCV turns JPEG and TIFF as EXIF says, PNG and WebP only in some versions, and AVIF in none.

``linnet_runtime.preprocess.read_picture`` reads pictures.

The layouts are those of the specifications: JPEG (ITU-T T.81, annex B), PNG (W3C, third edition), WebP (RFC 9649),
TIFF 6.0 and EXIF 2.32, GIF89a, JPEG 2000 (ISO/IEC 15444-1), Netpbm's manual, and HEIF (ISO/IEC 23008-12) for AVIF.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")
Size = tuple[int, int]
"""Width and height in pixels."""

_MOST_PARTS = 10_000  # chunks, segments or boxes: a photo has tens, and a hostile file could have millions
_WIDTH_TAG, _HEIGHT_TAG, _ORIENTATION_TAG = 0x100, 0x101, 0x112
_TIFF_NUMBERS = {3: "H", 4: "I"}  # TIFF's SHORT and LONG
_PNM_GAP = rb"(?:\s|#[^\n]*\n)+"
_PNM_SIZE = re.compile(rb"P\d" + _PNM_GAP + rb"(\d{1,9})" + _PNM_GAP + rb"(\d{1,9})")
_PNM_WHITE = re.compile(rb"P[56]" + 3 * (_PNM_GAP + rb"(\d{1,9})"))
_JPEG_NO_FRAME = (0xC4, 0xC8, 0xCC)  # tables and a reserved marker among the markers of frames, 0xC0 to 0xCF
# The EXIF orientation that equals AVIF's (quarter turns counterclockwise, then a mirror: 0 swaps top and bottom, 1 left
# and right, None neither).
_AVIF_ORIENTATIONS = {
    (0, None): 1,
    (1, None): 8,
    (2, None): 3,
    (3, None): 6,
    (0, 0): 4,
    (1, 0): 5,
    (2, 0): 2,
    (3, 0): 7,
    (0, 1): 2,
    (1, 1): 7,
    (2, 1): 4,
    (3, 1): 5,
}


@dataclass(frozen=True)
class PictureFormat:
    """A format of picture files that Linnet reads, where OpenCV is built with it."""

    name: str
    """Such as ``"JPEG"``."""
    suffixes: tuple[str, ...]
    """The ends of its files' names, the usual one first."""
    signature: re.Pattern[bytes]
    """Matches the start of its files."""
    size: Callable[[bytes], Size | None]
    """Reads the size of the stored picture from a file's content."""
    orientation: Callable[[bytes], int] | None = None
    """Reads EXIF's orientation, 1 (upright) to 8; None where OpenCV turns the picture or the format has none."""
    white: Callable[[bytes], int | None] | None = None
    """Reads the value of white, where a file may state another one than the largest of its 8 or 16 bits."""


@dataclass(frozen=True)
class PictureHeader:
    """The header of a picture file."""

    format: PictureFormat
    """The format, by the content of the file and not by its name."""
    size: Size | None
    """Width and height in pixels as stored, before any turn; None where the header is damaged or cut short."""
    orientation: int | None
    """EXIF's orientation, 1 (upright) to 8; None where OpenCV turns the picture or the format has none."""
    white: int | None
    """The value of white that the file states; None where it is the largest of its 8 or 16 bits."""


def read_header(data: bytes) -> PictureHeader | None:
    """The header of a file in one of ``FORMATS``; None for any other content."""
    for candidate in FORMATS:
        if candidate.signature.match(data):
            orientation = _try(candidate.orientation, data, 1) if candidate.orientation else None
            white = _try(candidate.white, data, None) if candidate.white else None
            return PictureHeader(candidate, _try(candidate.size, data, None), orientation, white)
    return None


def _try(read: Callable[[bytes], Value], data: bytes, otherwise: Value) -> Value:
    try:
        return read(data)
    except (struct.error, LookupError, ValueError):  # damaged or cut short
        return otherwise


def _jpeg_size(data: bytes) -> Size | None:
    at = 2
    for _ in range(_MOST_PARTS):
        at = data.index(b"\xff", at)
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD9:  # markers without a segment
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _JPEG_NO_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The name, the start and the end of the content of each chunk."""
    at = 8
    for _ in range(_MOST_PARTS):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, at + 8, at + 8 + length
        at += 12 + length


def _png_size(data: bytes) -> Size:
    width, height = struct.unpack_from(">II", data, 16)  # IHDR is always the first chunk
    return width, height


def _png_orientation(data: bytes) -> int:
    for name, start, end in _png_chunks(data):
        if name == b"eXIf":
            return _exif_orientation(data[start:end])
    return 1


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    for _ in range(_MOST_PARTS):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, at + 8, at + 8 + length
        at += 8 + length + length % 2


def _webp_size(data: bytes) -> Size | None:
    for name, start, _ in _webp_chunks(data):
        if name == b"VP8X":  # the canvas: two numbers of 24 bits, each less by one
            width, height = (int.from_bytes(data[start + i : start + i + 3], "little") for i in (4, 7))
            return width + 1, height + 1
        if name == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, start + 6)
            return width & 0x3FFF, height & 0x3FFF
        if name == b"VP8L":  # two numbers of 14 bits, each less by one
            bits = struct.unpack_from("<I", data, start + 1)[0]
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def _webp_orientation(data: bytes) -> int:
    for name, start, end in _webp_chunks(data):
        if name == b"EXIF":
            return _exif_orientation(data[start:end].removeprefix(b"Exif\0\0"))  # some programs leave JPEG's prefix
    return 1


def _bmp_size(data: bytes) -> Size:
    header_bytes = struct.unpack_from("<I", data, 14)[0]
    width, height = struct.unpack_from("<HH" if header_bytes == 12 else "<ii", data, 18)
    return width, abs(height)  # negative where the rows go from top to bottom


def _gif_size(data: bytes) -> Size:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _pnm_size(data: bytes) -> Size | None:
    found = _PNM_SIZE.match(data)
    return (int(found[1]), int(found[2])) if found else None


def _pnm_white(data: bytes) -> int | None:
    """OpenCV scales the values of the text forms, P2 and P3, and not those of the binary ones."""
    found = _PNM_WHITE.match(data)
    white = int(found[3]) if found else 255
    return None if white in (255, 65535) else white


def _tiff_numbers(data: bytes) -> dict[int, int]:
    """The tags of a TIFF's first directory that hold one number. BigTIFF differs in the widths alone."""
    order = "<" if data[:2] == b"II" else ">"
    big = b"+" in data[2:4]
    offset, count, head = ("Q", "Q", "HHQ") if big else ("I", "H", "HHI")
    directory = struct.unpack_from(order + offset, data, 8 if big else 4)[0]
    entries = struct.unpack_from(order + count, data, directory)[0]
    entry = directory + struct.calcsize(order + count)
    numbers = {}
    for _ in range(min(entries, _MOST_PARTS)):
        tag, kind, values = struct.unpack_from(order + head, data, entry)
        entry += struct.calcsize(order + head)
        if values == 1 and kind in _TIFF_NUMBERS:
            numbers[tag] = struct.unpack_from(order + _TIFF_NUMBERS[kind], data, entry)[0]
        entry += struct.calcsize(order + offset)
    return numbers


def _tiff_size(data: bytes) -> Size | None:
    numbers = _tiff_numbers(data)
    width, height = numbers.get(_WIDTH_TAG), numbers.get(_HEIGHT_TAG)
    return (width, height) if width and height else None


def _exif_orientation(exif: bytes) -> int:
    """EXIF is a TIFF without a picture."""
    orientation = _tiff_numbers(exif).get(_ORIENTATION_TAG, 1)
    return orientation if 1 <= orientation <= 8 else 1


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The name, the start and the end of the content of each box of JPEG 2000 or HEIF between two offsets."""
    for _ in range(_MOST_PARTS):
        if start + 8 > end:
            return
        length, name = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if length == 1:  # a length of 64 bits follows
            length, content = struct.unpack_from(">Q", data, content)[0], content + 8
        elif length == 0:  # the last box: to the end
            length = end - start
        if length < content - start:
            return
        yield name, content, min(start + length, end)
        start += length


def _box(data: bytes, *path: bytes) -> tuple[int, int]:
    """The start and the end of the content of the box at a path. Raises ValueError where there is none."""
    start, end = 0, len(data)
    for wanted in path:
        for name, first, last in _boxes(data, start, end):
            if name == wanted:
                start, end = first + 4 * (name == b"meta"), last  # "meta" has a version and flags before its boxes
                break
        else:
            raise ValueError(f"no box {wanted!r}")
    return start, end


def _jpeg2000_size(data: bytes) -> Size:
    if data.startswith(b"\xff\x4f"):  # a bare codestream: the end and the origin of the reference grid
        right, bottom, left, top = struct.unpack_from(">4I", data, 8)
        return right - left, bottom - top
    height, width = struct.unpack_from(">II", data, _box(data, b"jp2h", b"ihdr")[0])
    return width, height


def _avif_properties(data: bytes) -> dict[bytes, bytes]:
    """The content of the properties of the primary item, by name."""
    primary = _box(data, b"meta", b"pitm")[0]
    item = struct.unpack_from(">I" if data[primary] else ">H", data, primary + 4)[0]
    properties = list(_boxes(data, *_box(data, b"meta", b"iprp", b"ipco")))
    at = _box(data, b"meta", b"iprp", b"ipma")[0]
    version, wide = data[at], data[at + 3] & 1
    entries = struct.unpack_from(">I", data, at + 4)[0]
    at += 8
    for _ in range(min(entries, _MOST_PARTS)):
        of_item = struct.unpack_from(">I" if version else ">H", data, at)[0]
        at += 4 if version else 2
        count = data[at]
        indices = struct.unpack_from(f">{count}{'H' if wide else 'B'}", data, at + 1)
        at += 1 + count * (1 + wide)
        if of_item == item:
            chosen = [properties[(index & (0x7FFF if wide else 0x7F)) - 1] for index in indices]
            return {name: data[start:end] for name, start, end in chosen}
    raise ValueError("the primary item has no properties")


def _avif_size(data: bytes) -> Size:
    width, height = struct.unpack_from(">II", _avif_properties(data)[b"ispe"], 4)
    return width, height


def _avif_orientation(data: bytes) -> int:
    """HEIF asks readers to follow its own properties and to ignore the orientation in EXIF."""
    properties = _avif_properties(data)
    turns = properties[b"irot"][0] & 3 if b"irot" in properties else 0
    mirror = properties[b"imir"][0] & 1 if b"imir" in properties else None
    return _AVIF_ORIENTATIONS[turns, mirror]


FORMATS = (
    PictureFormat("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), re.compile(rb"\xff\xd8\xff"), _jpeg_size),
    PictureFormat("PNG", (".png",), re.compile(rb"\x89PNG\r\n\x1a\n"), _png_size, _png_orientation),
    PictureFormat("WebP", (".webp",), re.compile(rb"RIFF....WEBP", re.DOTALL), _webp_size, _webp_orientation),
    PictureFormat("BMP", (".bmp",), re.compile(rb"BM"), _bmp_size),
    PictureFormat("TIFF", (".tiff", ".tif"), re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff_size),
    PictureFormat("GIF", (".gif",), re.compile(rb"GIF8[79]a"), _gif_size),
    PictureFormat("PNM", (".ppm", ".pgm", ".pbm", ".pnm"), re.compile(rb"P[1-6]\s"), _pnm_size, None, _pnm_white),
    PictureFormat("JPEG 2000", (".jp2",), re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), _jpeg2000_size),
    PictureFormat(
        "AVIF", (".avif",), re.compile(rb"....ftyp(?:....){0,12}avi[fs]", re.DOTALL), _avif_size, _avif_orientation
    ),
)
