"""Every kind of picture that a camera or a user's folder holds: formats, modes, animations."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_runtime.pictures.encoded import FRAME, encode, mean_difference, pillow_encode, skip_without
from linnet_runtime.preprocess import PICTURE_SUFFIXES, PictureError, decode_picture, read_picture
from linnet_runtime.sources import open_source


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


def test_a_format_that_opencv_is_built_without_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated where OpenCV has GIF: 4.11 has not."""
    data = pillow_encode(".gif")
    if cv2.haveImageWriter(".gif"):
        monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
        monkeypatch.setattr(cv2, "haveImageWriter", lambda _: False)
    with pytest.raises(PictureError, match=r"photo: got GIF, which OpenCV .* was built without.*Fix: save the picture"):
        decode_picture(data, "photo")


@pytest.mark.parametrize(("kind", "white"), [("P5", 1), ("P5", 100), ("P5", 4095), ("P6", 254), ("P6", 1023)])
def test_a_binary_pnm_in_which_another_value_is_white_is_refused(kind: str, white: int) -> None:
    """Cameras for machine vision write 10 or 12 bits; OpenCV would give a picture that is all but black."""
    values = np.array([0, white // 2, white] * (3 if kind == "P6" else 1), ">u2" if white > 255 else np.uint8)
    pnm = f"{kind}\n# a camera\n3 1\n{white}\n".encode() + values.tobytes()
    with pytest.raises(PictureError, match=rf"photo: got a PNM in which {white} is white, expected 255, or 65535"):
        decode_picture(pnm, "photo")


@pytest.mark.parametrize(
    "pnm",
    [
        b"P5 3 1 255\n\0\x80\xff",
        b"P5 3 1 65535\n\0\0\x80\0\xff\xff",
        b"P6 3 1 255\n\0\0\0\x80\x80\x80\xff\xff\xff",
        b"P2 3 1 255\n0 128 255\n",
        b"P2 3 1 2\n0 1 2\n",
    ],
)
def test_black_gray_and_white_of_a_pnm(pnm: bytes) -> None:
    np.testing.assert_allclose(decode_picture(pnm, "photo")[0, :, 0], [0, 128, 255], atol=1)
