"""Regions: what is cut out of a frame."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from linnet_devices.errors import LinnetError
from linnet_runtime.decisions.regions import OUTSIDE, cut
from linnet_runtime.decisions.settings import Region, Rotation

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
ROTATIONS: tuple[Rotation, ...] = (0, 90, 180, 270)
TRIANGLE = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75))


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(height * width).integers(0, 256, shape, np.uint8)


def rectangle(*box: float) -> Region:
    return Region(rectangle=box)  # type: ignore[arg-type]


def test_a_rectangle_is_a_view_of_the_frame() -> None:
    frame = noise(480, 640)
    part = cut(frame, rectangle(0.25, 0.5, 0.5, 0.25))
    assert np.array_equal(part, frame[240:360, 160:480])
    assert np.shares_memory(part, frame)


def test_no_region_is_the_whole_frame_itself() -> None:
    frame = noise(48, 64)
    assert cut(frame, None) is frame
    assert np.array_equal(cut(frame, rectangle(0, 0, 1, 1)), frame)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rotate", ROTATIONS)
def test_a_region_is_that_of_the_rotated_frame(rotate: Rotation, channels: int) -> None:
    """Only the region is turned, and it has the same pixels as if the whole frame were."""
    rng = np.random.default_rng(7)
    for _ in range(50):
        frame = noise(int(rng.integers(20, 90)), int(rng.integers(20, 90)), channels)
        turned = cv2.rotate(frame, TURNS[rotate]) if rotate else frame
        x, y = rng.uniform(0, 0.8, 2)
        box = rectangle(x, y, *(rng.uniform(0.1, 1 - start) for start in (x, y)))
        assert np.array_equal(cut(frame, box, rotate), cut(turned, box))
        polygon = Region(polygon=TRIANGLE)
        assert np.array_equal(cut(frame, polygon, rotate), cut(turned, polygon))


def test_a_polygon_is_its_bounding_box_with_128_outside() -> None:
    frame = np.full((80, 80, 3), 7, np.uint8)
    part = cut(frame, Region(polygon=TRIANGLE))
    assert part.shape == (40, 40, 3)
    rows, columns = np.indices((40, 40))
    beyond = (rows + 0.5) + (columns + 0.5) - 40  # the centres of the pixels; none counts that is on the edge itself
    assert (part[beyond < 0] == 7).all()
    assert (part[beyond > 0] == OUTSIDE).all()
    assert OUTSIDE == 128
    assert (frame == 7).all()


def test_a_polygon_may_turn_inwards() -> None:
    arrow = ((0.0, 0.0), (1.0, 0.5), (0.0, 1.0), (0.5, 0.5))
    part = cut(np.zeros((100, 100), np.uint8), Region(polygon=arrow))
    assert part[50, 25] == OUTSIDE  # between the barbs
    assert part[50, 75] == part[12, 12] == 0
    assert np.mean(part == 0) == pytest.approx(0.25, abs=0.02)  # by the shoelace formula


def test_the_corners_may_go_either_way_around() -> None:
    frame = noise(50, 70)
    either = [cut(frame, Region(polygon=corners)) for corners in (TRIANGLE, TRIANGLE[::-1])]
    assert np.array_equal(*either)


@pytest.mark.parametrize(
    "region", [rectangle(0.5, 0.5, 0.001, 0.5), Region(polygon=((0.5, 0.1), (0.5004, 0.1), (0.5, 0.9)))]
)
def test_a_region_smaller_than_a_pixel_is_refused(region: Region) -> None:
    with pytest.raises(
        LinnetError, match=r"of a frame of 100 x 100, expected at least one pixel. Fix: a larger region"
    ):
        cut(noise(100, 100), region)


def test_a_region_of_one_pixel_is_one_pixel() -> None:
    frame = noise(10, 10)
    assert np.array_equal(cut(frame, rectangle(0.9, 0.9, 0.1, 0.1)), frame[9:, 9:])


@pytest.mark.parametrize("size", [(7, 13), (480, 640), (333, 1)])
def test_any_region_within_the_frame_is_cut_within_the_frame(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    frame: Any = noise(*size)
    for _ in range(200):
        x, y = rng.uniform(0, 1, 2)
        box = rectangle(x, y, 1 - x, 1 - y)
        try:
            part = cut(frame, box)
        except LinnetError:
            assert min((1 - x) * size[1], (1 - y) * size[0]) < 1
        else:
            assert part.shape[0] <= size[0]
            assert part.shape[1] <= size[1]
            assert part.size > 0
