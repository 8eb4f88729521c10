"""Reading pictures: every kind that a camera or a user's folder holds, and every way in which a file is broken."""

from __future__ import annotations

import functools
import io
import json
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.golden import centre, picture
from linnet_devices.errors import LinnetError
from linnet_runtime.picture_header import FORMATS, read_header
from linnet_runtime.preprocess import (
    _MOST_BYTES,
    PICTURE_SUFFIXES,
    PictureError,
    decode_picture,
    preprocess,
    read_picture,
)
from linnet_runtime.sources import open_source
from program import DATA, linnet, needs_data, one_line_error

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


def png_header(width: int, height: int) -> bytes:
    """A PNG of 57 bytes that asks for so many pixels and holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
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


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_every_suffix_of_the_list_is_read(suffix: str, tmp_path: Path) -> None:
    """Formats without loss give the same pixels; the others differ by what their codec loses."""
    skip_without({".jfif": ".jpg", ".mpo": ".jpg"}.get(suffix, suffix))
    frame = np.repeat(FRAME[..., :1], 3, axis=2) if suffix in (".pbm", ".pgm", ".gif") else FRAME
    path = tmp_path / f"photo{suffix.upper()}"
    if suffix == ".pbm":
        frame = np.where(frame > 100, 255, 0).astype(np.uint8)
        Image.fromarray(frame[..., 0]).convert("1").save(path, "PPM")
    elif suffix == ".pgm":
        Image.fromarray(frame[..., 0]).save(path, "PPM")
    else:
        path.write_bytes(pillow_encode({".jpe": ".jpg", ".jfif": ".jpg"}.get(suffix, suffix), frame))
    lossy = suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".avif", ".gif")
    assert mean_difference(read_picture(path), frame) <= (8 if lossy else 0)
    [source_frame] = iter(open_source(str(path)).read, None)
    assert source_frame.pixels.shape == FRAME.shape


def test_an_animation_gives_its_first_picture() -> None:
    first, second = (Image.fromarray(np.full((20, 30, 3), value, np.uint8)) for value in (200, 20))
    for suffix in (".gif", ".webp", ".png", ".avif"):
        if not cv2.haveImageWriter(suffix):
            continue
        buffer = io.BytesIO()
        first.save(buffer, suffix[1:], save_all=True, append_images=[second])
        assert mean_difference(decode_picture(buffer.getvalue(), suffix), np.full((20, 30, 3), 200, np.uint8)) < 3


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


def test_a_format_that_opencv_is_built_without_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated where OpenCV has GIF: 4.11 has not."""
    data = pillow_encode(".gif")
    if cv2.haveImageWriter(".gif"):
        monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
        monkeypatch.setattr(cv2, "haveImageWriter", lambda _: False)
    with pytest.raises(PictureError, match=r"photo: got GIF, which OpenCV .* was built without.*Fix: save the picture"):
        decode_picture(data, "photo")


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
