"""A photo is turned as its EXIF says, in every format."""

from __future__ import annotations

import functools
import io
import struct

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.golden import centre
from edge_runtime.pictures.encoded import (
    FRAME,
    STORED,
    encode,
    exif_with,
    mean_difference,
    pillow_encode,
    skip_without,
    with_orientation,
)
from linnet_runtime.picture_header import FORMATS, read_header
from linnet_runtime.preprocess import decode_picture, preprocess, read_picture
from program import DATA, needs_data


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


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".tiff"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_format_is_turned_as_its_exif_says(orientation: int, suffix: str) -> None:
    skip_without(suffix)
    stored = np.ascontiguousarray(STORED[orientation](FRAME))
    found = decode_picture(pillow_encode(suffix, stored, exif=exif_with(orientation)), suffix)
    assert mean_difference(found, FRAME) <= (3 if suffix == ".avif" else 0)  # turned wrongly it is over 10


def test_exif_in_webp_may_begin_as_in_a_jpeg() -> None:
    """Some programs copy the whole segment of the JPEG."""
    webp = pillow_encode(".webp", np.ascontiguousarray(STORED[6](FRAME)), exif=exif_with(6))
    picture_chunks, exif = webp.split(b"EXIF")
    exif = b"Exif\0\0" + exif[4:]
    webp = picture_chunks[8:] + b"EXIF" + struct.pack("<I", len(exif)) + exif
    assert np.array_equal(decode_picture(b"RIFF" + struct.pack("<I", len(webp)) + webp, "photo"), FRAME)


@functools.cache
def real_photos() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8], bytes | None]]:
    """One photo in all EXIF orientations, a fourth of each side: as stored, upright, and its EXIF."""
    photos = []
    for path in sorted((DATA / "exif").iterdir()):
        with Image.open(path) as image:
            exif = image.info.get("exif")
        stored = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        photos.append((quarter(stored), quarter(read_picture(path)), exif))
    return photos


def quarter(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 4 x 4 pixels, which no turn changes."""
    height, width = pixels.shape[0] // 4, pixels.shape[1] // 4
    sums = pixels.reshape(height, 4, width, 4, 3).sum(axis=(1, 3), dtype=np.uint16)
    return (sums // 16).astype(np.uint8)


@needs_data
@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".tiff"])
def test_real_photos_in_all_exif_orientations_give_the_pixels_of_their_jpegs(suffix: str) -> None:
    skip_without(suffix)
    assert len(real_photos()) == 9
    for stored, upright, exif in real_photos():
        data = pillow_encode(suffix, stored, **({"exif": exif} if exif else {}))
        assert mean_difference(decode_picture(data, suffix), upright) <= (3 if suffix == ".avif" else 0)


@pytest.mark.parametrize(
    ("size", "orientation"),
    [((450, 300), 1), ((1, 1), 3), ((300, 450), 6), ((16_400, 17), 8)],
)
def test_the_header_has_the_size_as_stored_and_the_orientation(size: tuple[int, int], orientation: int) -> None:
    image = Image.new("RGB", size)
    for known in FORMATS:
        if known.name == "WebP" and max(size) > 16_383:
            continue  # a side has 14 bits
        buffer = io.BytesIO()
        image.save(buffer, Image.registered_extensions()[known.suffixes[0]], exif=exif_with(orientation))
        header = read_header(buffer.getvalue())
        assert header is not None
        assert (header.format, header.size) == (known, size)
        assert header.orientation == (orientation if known.name in ("PNG", "WebP", "AVIF") else None)


def test_lossy_webp_and_big_tiff_have_their_sizes_too() -> None:
    buffers = [io.BytesIO(), io.BytesIO()]
    Image.new("RGB", (300, 200)).save(buffers[0], "WebP", quality=50)  # "VP8 ", where EXIF would add "VP8X"
    Image.new("RGB", (300, 200)).save(buffers[1], "TIFF", big_tiff=True)
    for buffer in buffers:
        header = read_header(buffer.getvalue())
        assert header is not None
        assert header.size == (300, 200)
        assert decode_picture(buffer.getvalue(), "photo").shape == (200, 300, 3)
