"""Reading pictures: every kind that a camera or a user's folder holds, and every way in which a file is broken."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.golden import centre, picture
from linnet_runtime.preprocess import _MOST_BYTES, PictureError, decode_picture, preprocess, read_picture
from program import DATA, needs_data

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


def encode(suffix: str, pixels: NDArray[np.generic] = FRAME) -> bytes:
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels))
    assert done
    return data.tobytes()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that holds nothing but the orientation."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def huge_png() -> bytes:
    """A PNG of 53 bytes that asks for 60,000 times 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = (header, b"IDAT" + zlib.compress(b""), b"IEND")
    packed = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def mean_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_is_turned_as_its_exif_says(orientation: int) -> None:
    jpeg = with_orientation(encode(".jpg", STORED[orientation](FRAME)), orientation)
    assert mean_difference(decode_picture(jpeg, "photo"), FRAME) < 3  # JPEG's own loss; turned wrongly it is over 50


def test_the_turned_pictures_would_differ_without_exif() -> None:
    for orientation in (2, 3, 4):
        assert mean_difference(decode_picture(encode(".jpg", STORED[orientation](FRAME)), "photo"), FRAME) > 10


@needs_data
@pytest.mark.parametrize("orientation", [0, 2, 3, 4, 5, 6, 7, 8])  # 0 has no EXIF
def test_a_model_sees_a_real_photo_the_same_in_every_exif_orientation(orientation: int) -> None:
    upright, turned = (
        preprocess(read_picture(DATA / "exif" / f"Landscape_{n}.jpg"), centre(224, 224), color="bgr")
        for n in (1, orientation)
    )
    assert mean_difference(turned, upright) < 3  # JPEG's own loss; turned wrongly it is over 50


def test_a_lossless_picture_keeps_its_pixels() -> None:
    for suffix in (".png", ".bmp", ".tiff"):
        assert np.array_equal(decode_picture(encode(suffix), suffix), FRAME)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_grey_picture_gives_three_equal_channels(suffix: str) -> None:
    found = decode_picture(encode(suffix, FRAME[..., 0]), suffix)
    assert found.shape == FRAME.shape
    assert mean_difference(found, np.repeat(FRAME[..., :1], 3, axis=2)) < 3


def test_alpha_is_dropped_and_the_colour_below_it_kept() -> None:
    alpha = np.full((*FRAME.shape[:2], 1), 0, np.uint8)
    assert np.array_equal(decode_picture(encode(".png", np.concatenate([FRAME, alpha], axis=2)), "alpha"), FRAME)


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = FRAME.astype(np.uint16) * 257
    for suffix in (".png", ".tiff"):
        assert np.array_equal(decode_picture(encode(suffix, deep), suffix), FRAME)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("P", "png"),  # a palette
        ("CMYK", "jpg"),  # a photo that went through a printer's program
        ("LA", "png"),  # grey with alpha
        ("1", "png"),  # black and white
    ],
)
def test_a_picture_in_a_rarer_mode_gives_three_channels(mode: str, suffix: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.ascontiguousarray(FRAME[..., ::-1])).convert(mode)
    image.save(tmp_path / f"photo.{suffix}")
    expected = np.array(image.convert("RGB"))[..., ::-1]
    assert mean_difference(read_picture(tmp_path / f"photo.{suffix}"), expected) < 5


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "got an empty file"),
        (b"no picture at all\n", "got 18 bytes that start with b'no picture a'"),  # a text named .jpg
        (encode(".jpg")[:200], "got a JPEG that is damaged or cut short"),
        (encode(".jpg")[: len(encode(".jpg")) // 2], "got a JPEG that is damaged or cut short"),
        (encode(".jpg")[:-1], "got a JPEG that is damaged or cut short"),
        (encode(".png")[:-20], "got a PNG that is damaged or cut short"),
        (encode(".png").replace(encode(".png")[500:504], b"\0\0\0\0"), "got a PNG that is damaged or cut short"),
        (encode(".bmp")[:-1], "got a BMP that is damaged or cut short"),
        (encode(".webp")[:-9], "got a WebP that is damaged or cut short"),
        (encode(".tiff")[:-9], "got a TIFF that is damaged or cut short"),
        (huge_png(), "CV_IO_MAX_IMAGE_PIXELS"),  # 10.8 GB in memory
    ],
)
def test_a_broken_picture_is_an_error_that_names_it(data: bytes, got: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(PictureError) as refused:
        read_picture(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert got in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"nowhere\.jpg: got No such file or directory"):
        read_picture(tmp_path / "nowhere.jpg")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="got Is a directory"):
        read_picture(tmp_path)


def test_a_file_larger_than_any_photo_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "video.jpg"
    with path.open("wb") as file:
        file.truncate(_MOST_BYTES + 1)  # sparse: it takes no room
    with pytest.raises(PictureError, match=f"got {_MOST_BYTES + 1} bytes, expected at most {_MOST_BYTES}"):
        read_picture(path)
