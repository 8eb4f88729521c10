"""The renderer: its photos are the demo's and the tests' data, and have to stay the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_runtime.synthetic.conveyor import EMPTY, conveyor_frames
from linnet_runtime.synthetic.photos import CLASSES, render_photo, write_photos

# The mean brightness of each twelfth of a photo, by class, three rows of four; and of a frame of the conveyor.
GOLDEN = {
    "bolt": [28, 28, 35, 29, 44, 73, 60, 28, 81, 74, 29, 27],
    "empty_belt": [73, 68, 75, 73, 73, 73, 72, 73, 74, 69, 73, 69],
    "gear": [87, 81, 94, 88, 86, 86, 92, 89, 86, 87, 85, 88],
    "nut": [73, 54, 75, 54, 52, 85, 55, 87, 48, 57, 90, 62],
    "screw": [46, 48, 47, 52, 53, 62, 55, 47, 49, 50, 47, 49],
    "spring": [57, 57, 54, 55, 60, 60, 54, 58, 60, 58, 57, 59],
    "washer": [65, 81, 117, 79, 69, 105, 80, 118, 68, 70, 112, 76],
    "the conveyor": [30, 30, 31, 31, 37, 29, 31, 31, 33, 40, 32, 31],
}
_TOLERANCE = 2  # of 255: processors round differently


def twelfths(picture: NDArray[np.uint8]) -> list[int]:
    return cv2.resize(picture, (4, 3), interpolation=cv2.INTER_AREA).mean(axis=2).round().astype(int).ravel().tolist()


@pytest.mark.parametrize("label", CLASSES)
def test_the_same_seed_gives_the_same_photo_as_ever(label: str) -> None:
    photo = render_photo(label, np.random.default_rng((1, CLASSES.index(label))), (96, 128))
    assert (photo.dtype, photo.shape) == (np.uint8, (96, 128, 3))
    assert twelfths(photo) == pytest.approx(GOLDEN[label], abs=_TOLERANCE)


def test_the_same_seed_gives_the_same_conveyor_as_ever() -> None:
    frames = list(conveyor_frames(3, 40, (96, 128), fps=4))
    assert twelfths(frames[39][0]) == pytest.approx(GOLDEN["the conveyor"], abs=_TOLERANCE)
    labels = [label for _, label in frames]
    assert EMPTY in labels
    assert set(labels) <= set(CLASSES)
    assert len(set(labels)) > 1


def test_a_photo_of_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown label 'wheel'; the known ones are bolt, empty_belt, gear"):
        render_photo("wheel", np.random.default_rng(0))


def test_a_photo_does_not_depend_on_how_many_are_written(tmp_path: Path) -> None:
    few, many = (sorted(write_photos(tmp_path / str(count), count, seed=0)) for count in (1, 2))
    by_name = {path.relative_to(tmp_path / "2"): path.read_bytes() for path in many}
    assert all(by_name[path.relative_to(tmp_path / "1")] == path.read_bytes() for path in few)
