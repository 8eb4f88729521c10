"""Preprocessing: its bytes are a contract."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.golden import CASES, centre, digest, pad, picture, stretch
from linnet_devices.errors import LinnetError
from linnet_runtime.preprocess import BORDER, Color, Preprocess, preprocess

GOLDEN = Path(__file__).with_name("golden.py")


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_are_the_golden_ones(name: str) -> None:
    assert digest(CASES[name]) == CASES[name].sha256


def test_the_bytes_are_the_same_without_the_processors_vector_extensions() -> None:
    environment = {**os.environ, "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,AVX,SSE4.2,SSE4.1"}
    done = subprocess.run([sys.executable, GOLDEN], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_bytes_are_the_same_with_one_thread() -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        assert [name for name, case in CASES.items() if digest(case) != case.sha256] == []
    finally:
        cv2.setNumThreads(threads)


@pytest.mark.parametrize("name", CASES)
def test_the_result_is_uint8_rgb_of_the_models_size_in_one_piece(name: str) -> None:
    case = CASES[name]
    pixels = preprocess(picture(case.height, case.width, case.color), case.spec, color=case.color)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (case.spec.height, case.spec.width, 3)
    assert pixels.flags.c_contiguous


def test_a_frame_gives_the_same_pixels_in_either_colour_order() -> None:
    frame = picture(480, 640, "bgr")
    spec = centre(224, 224)
    assert np.array_equal(preprocess(frame, spec, color="bgr"), preprocess(frame[..., ::-1], spec, color="rgb"))


def test_grey_gives_three_equal_channels() -> None:
    pixels = preprocess(picture(480, 640, "gray"), centre(224, 224), color="gray")
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_a_picture_that_fits_already_keeps_its_pixels_and_is_not_written_to() -> None:
    frame = picture(32, 32, "rgb")
    before = frame.copy()
    assert np.array_equal(preprocess(frame, centre(32, 32), color="rgb"), frame)
    assert np.array_equal(frame, before)


def test_a_result_is_the_callers_own_whatever_comes_after_it() -> None:
    frame = picture(480, 640, "bgr")
    first = preprocess(frame, centre(224, 224), color="bgr")
    before = first.copy()
    preprocess(255 - frame, centre(224, 224), color="bgr")
    assert np.array_equal(first, before)


def test_threads_that_preprocess_at_once_do_not_disturb_each_other() -> None:
    with ThreadPoolExecutor(4) as pool:
        cases = list(CASES.values()) * 4
        assert list(pool.map(digest, cases)) == [case.sha256 for case in cases]


def test_the_centre_crop_leaves_the_outer_parts_out_and_stretch_keeps_them() -> None:
    frame = np.zeros((64, 128, 3), np.uint8)
    frame[:, 32:96] = 200  # the centred square
    assert preprocess(frame, centre(64, 64), color="rgb").min() == 200
    stretched = preprocess(frame, stretch(64, 64), color="rgb")
    assert stretched[:, 0].max() == stretched[:, -1].max() == 0
    assert stretched[:, 32].min() == 200


@pytest.mark.parametrize(
    ("size", "model", "fitted"),
    [
        ((480, 640), (224, 224), (168, 224)),
        ((640, 480), (224, 224), (224, 168)),
        ((1080, 1920), (96, 96), (54, 96)),
        ((100, 100), (95, 160), (95, 95)),
        ((480, 640), (224, 320), (224, 299)),  # 298.67
        ((10, 10), (64, 64), (64, 64)),
        ((2, 64), (32, 32), (1, 32)),
        ((3, 64), (32, 32), (2, 32)),  # 1.5
        ((1, 1000), (32, 32), (1, 32)),  # 0.03
    ],
)
def test_pad_is_the_whole_picture_with_its_aspect_in_a_border_of_128(
    size: tuple[int, int], model: tuple[int, int], fitted: tuple[int, int]
) -> None:
    frame = picture(*size, "bgr")
    pixels = preprocess(frame, pad(*model), color="bgr")
    top, left = (model[0] - fitted[0]) // 2, (model[1] - fitted[1]) // 2
    middle = (slice(top, top + fitted[0]), slice(left, left + fitted[1]))
    assert np.array_equal(pixels[middle], preprocess(frame, stretch(*fitted), color="bgr"))
    border = np.ones(model, bool)
    border[middle] = False
    assert (pixels[border] == BORDER).all()
    assert BORDER == 128


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the result can show: grey, never stripes
    pixels = preprocess(stripes, centre(64, 64), color="rgb")
    assert pixels.min() == pixels.max() == 128


@pytest.mark.parametrize(
    ("array", "color", "got"),
    [
        (np.zeros((4, 4), np.uint8), "bgr", "uint8 [4, 4]"),  # grey without saying so
        (np.zeros((4, 4, 3), np.uint8), "gray", "uint8 [4, 4, 3]"),
        (np.zeros((4, 4, 1), np.uint8), "gray", "uint8 [4, 4, 1]"),
        (np.zeros((4, 4, 4), np.uint8), "rgb", "uint8 [4, 4, 4]"),  # alpha is dropped when a file is read
        (np.zeros((4, 4, 3), np.float32), "rgb", "float32 [4, 4, 3]"),  # its range cannot be known
        (np.zeros((1, 4, 4, 3), np.uint8), "rgb", "uint8 [1, 4, 4, 3]"),
        (np.zeros((0, 4, 3), np.uint8), "rgb", "uint8 [0, 4, 3]"),
    ],
)
def test_another_dtype_or_shape_is_refused_with_what_was_got(array: np.ndarray, color: Color, got: str) -> None:
    with pytest.raises(LinnetError) as refused:
        preprocess(array, Preprocess(height=2, width=2), color=color)
    assert f"got {got}, expected uint8 [H, W" in str(refused.value)
