"""Every way in which a picture is broken, too large or no picture: one line that names it."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.pictures.encoded import EXIF_6, FRAME, encode, pillow_encode
from linnet_devices.errors import LinnetError
from linnet_runtime.preprocess import _MOST_BYTES, PictureError, decode_picture, read_picture
from program import linnet, one_line_error


def png_header(width: int, height: int) -> bytes:
    """A PNG of 57 bytes that asks for so many pixels and holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (header, b"IDAT" + zlib.compress(b""), b"IEND")
    packed = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif", ".ppm", ".jp2", ".avif"])
def test_a_mutated_picture_is_decoded_or_a_picture_error(suffix: str) -> None:
    """Seeded: one to thirty bytes changed, most of them in the header, or the end cut off."""
    original = pillow_encode(suffix, FRAME[:20, :30], **({} if suffix in (".bmp", ".gif", ".ppm") else EXIF_6))
    rng = np.random.default_rng(5)
    decoded = refused = 0
    for _ in range(300):
        data = bytearray(original)
        for _ in range(rng.choice((1, 3, 30))):
            data[rng.integers(min(len(data), rng.choice((64, 400, len(data)))))] = rng.integers(256)
        try:
            picture = decode_picture(bytes(data[: rng.choice((len(data), rng.integers(len(data))))]), "photo")
        except PictureError:
            refused += 1
        else:
            assert (picture.dtype, picture.ndim, picture.shape[2]) == (np.uint8, 3, 3)
            decoded += 1
    assert refused > 0
    assert decoded > 0 or not cv2.haveImageWriter(suffix)


def test_the_pixel_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    png = encode(".png")  # 64 x 48
    monkeypatch.setenv("LINNET_MAX_PIXELS", "3072")
    assert np.array_equal(decode_picture(png, "photo"), FRAME)
    monkeypatch.setenv("LINNET_MAX_PIXELS", "3071")
    with pytest.raises(
        PictureError, match=r"photo: got 64 x 48 pixels, expected at most 3071 pixels\. Fix: a smaller "
    ):
        decode_picture(png, "photo")
    monkeypatch.setenv("LINNET_MAX_PIXELS", "many")
    with pytest.raises(LinnetError, match="LINNET_MAX_PIXELS: got 'many', expected a number of pixels"):
        decode_picture(png, "photo")


def test_a_wrong_pixel_limit_is_one_line_of_the_program(small_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(encode(".png"))
    environment = {**os.environ, "LINNET_MAX_PIXELS": "50 MP"}
    done = linnet("classify", small_bundle, "photo.png", "--device", "fake", status=1, cwd=tmp_path, env=environment)
    assert one_line_error(done).startswith("LINNET_MAX_PIXELS: got '50 MP', expected a number of pixels")


def test_a_pixel_limit_above_the_usual_one_is_opencvs_too(small_bundle: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((7200, 7200), np.uint8))
    environment = {**os.environ, "LINNET_MAX_PIXELS": "60000000"}
    del environment["OPENCV_IO_MAX_IMAGE_PIXELS"]  # set in this process when it loaded OpenCV
    done = linnet("classify", small_bundle, "large.png", "--device", "fake", cwd=tmp_path, env=environment)
    assert "label" in json.loads(done.stdout)


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "got an empty file"),
        # a text named .jpg
        (b"no picture at all\n", "got 18 bytes that start with b'no picture a', expected JPEG, PNG, WebP, BMP, TIFF,"),
        (encode(".pfm", FRAME.astype(np.float32)), "that start with b'PF"),  # OpenCV would give floats
        (encode(".pfm", FRAME[..., 0].astype(np.float32)), "that start with b'Pf"),  # of two dimensions
        (encode(".jpg")[:200], "got a JPEG that is damaged or cut short"),
        (encode(".jpg")[: len(encode(".jpg")) // 2], "got a JPEG that is damaged or cut short"),
        (encode(".jpg")[:-1], "got a JPEG that is damaged or cut short"),
        (encode(".png")[:-20], "got a PNG that is damaged or cut short"),
        (encode(".png").replace(encode(".png")[500:504], b"\0\0\0\0"), "got a PNG that is damaged or cut short"),
        (encode(".bmp")[:-1], "got a BMP that is damaged or cut short"),
        (encode(".webp")[:-9], "got a WebP that is damaged or cut short"),
        (encode(".tiff")[:-9], "got a TIFF that is damaged or cut short"),
        (png_header(60_000, 60_000), "got 60000 x 60000 pixels, expected at most 50000000 pixels. Fix: a smaller"),
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


def test_only_a_regular_file_is_a_picture(tmp_path: Path) -> None:
    """A FIFO would hang and /dev/zero has no end."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for path, got in (
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe.jpg", "not a reg"),
        (tmp_path / "zero.png", "not"),
    ):
        with pytest.raises(PictureError, match=f"got {got}"):
            read_picture(path)


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "a\0b.jpg", "caf\udce9.jpg"])
def test_a_name_that_no_file_can_have_is_a_picture_error(name: str) -> None:
    with pytest.raises(PictureError):
        read_picture(Path(name))


def test_a_file_larger_than_any_photo_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "video.jpg"
    with path.open("wb") as file:
        file.truncate(_MOST_BYTES + 1)  # sparse: it takes no room
    with pytest.raises(PictureError, match=f"got more than {_MOST_BYTES} bytes"):
        read_picture(path)
