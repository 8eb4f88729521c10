"""Motion in a region, and which frames are classified."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from linnet_runtime.decisions.motion import Motion
from linnet_runtime.decisions.settings import When
from linnet_runtime.decisions.trigger import Trigger

THRESHOLD = 0.01


def scene(height: int = 480, width: int = 640, channels: int = 3) -> np.ndarray:
    """Slopes and edges, 60 to 160."""
    y, x = np.indices((height, width))
    gray = 60 + 60 * x // width + 40 * ((y * 6 // height + x * 8 // width) % 2)
    gray = gray.astype(np.uint8)
    return gray if channels == 1 else np.repeat(gray[..., None], channels, axis=2)


def with_object(x: int, y: int, size: int = 80, value: int = 250) -> np.ndarray:
    picture = scene()
    picture[y : y + size, x : x + size] = value
    return picture


def test_the_first_picture_is_motion() -> None:
    motion = Motion(THRESHOLD)
    assert motion.moved(scene())
    assert not motion.moved(scene())


def test_an_object_is_motion_when_it_comes_and_when_it_goes_and_not_while_it_stays() -> None:
    motion = Motion(THRESHOLD)
    pictures = [scene(), with_object(200, 100), with_object(200, 100), scene(), scene()]
    assert [motion.moved(picture) for picture in pictures] == [True, True, False, True, False]


def test_something_slow_is_motion_in_the_end() -> None:
    """Half a pixel of 640 in each frame: no two frames that follow each other differ enough."""
    motion = Motion(THRESHOLD)
    moved = [motion.moved(with_object(100 + i // 2, 100)) for i in range(200)]
    assert sum(moved) > 2
    assert not any(first and second for first, second in itertools.pairwise(moved[1:]))


@pytest.mark.parametrize("offset", [-50, -20, 20, 80])
def test_a_light_that_changes_the_whole_picture_is_no_motion(offset: int) -> None:
    motion = Motion(THRESHOLD)
    motion.moved(scene())
    assert not motion.moved((scene().astype(int) + offset).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(("size", "sigma"), [((480, 640), 25), ((64, 64), 8), ((200, 30), 8)])
def test_noise_is_no_motion(size: tuple[int, int], sigma: float) -> None:
    rng = np.random.default_rng(2)
    motion = Motion(THRESHOLD)

    def noisy() -> np.ndarray:
        return (scene(*size) + rng.normal(0, sigma, (*size, 3))).clip(0, 255).astype(np.uint8)

    motion.moved(noisy())
    assert not any(motion.moved(noisy()) for _ in range(100))


def test_an_object_is_seen_through_noise() -> None:
    rng = np.random.default_rng(2)
    motion = Motion(THRESHOLD)
    motion.moved((scene() + rng.normal(0, 15, (480, 640, 3))).clip(0, 255).astype(np.uint8))
    assert motion.moved((with_object(200, 100) + rng.normal(0, 15, (480, 640, 3))).clip(0, 255).astype(np.uint8))


def test_another_size_is_motion_and_gray_pictures_count_too() -> None:
    motion = Motion(THRESHOLD)
    assert motion.moved(scene())
    assert motion.moved(scene(100, 640))
    gray = Motion(THRESHOLD)
    assert [gray.moved(scene(channels=1)) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 5)])
def test_a_region_of_any_size_can_be_watched(size: tuple[int, int]) -> None:
    motion = Motion(THRESHOLD)
    picture = scene(*size)
    assert [motion.moved(picture) for _ in range(3)] == [True, False, False]


def test_a_result_does_not_depend_on_what_happens_to_the_picture_afterwards() -> None:
    motion = Motion(THRESHOLD)
    picture = scene(64, 64, 1)
    motion.moved(picture)
    picture[:] = 0
    assert not motion.moved(scene(64, 64, 1))


def due(when: When, pictures: list[np.ndarray], step_s: float) -> list[bool]:
    trigger = Trigger(when)
    return [trigger.due(picture, i * step_s) for i, picture in enumerate(pictures)]


def test_without_a_condition_every_frame_is_classified() -> None:
    assert due(When(), [scene()] * 3, 0.1) == [True] * 3


def test_with_an_interval_a_frame_is_classified_when_it_is_over() -> None:
    assert due(When(interval_s=1), [scene()] * 11, 0.25) == [i % 4 == 0 for i in range(11)]


def test_with_motion_frames_are_classified_until_the_hold_is_over() -> None:
    pictures = [scene()] * 6 + [with_object(200, 100)] * 8
    found = due(When(motion=THRESHOLD, motion_hold_s=1), pictures, 0.25)
    assert found == [True] * 5 + [False] + [True] * 5 + [False] * 3


def test_with_motion_and_an_interval_a_frame_is_classified_by_either() -> None:
    found = due(When(motion=THRESHOLD, motion_hold_s=0.5, interval_s=2), [scene()] * 15, 0.25)
    assert [i for i, one in enumerate(found) if one] == [0, 1, 2, 10]


def test_on_request_a_frame_is_classified_when_it_is_requested() -> None:
    trigger = Trigger(When(request=True))
    asked = [False, True, False]
    assert [trigger.due(scene(), i, requested=requested) for i, requested in enumerate(asked)] == asked


def test_a_request_is_answered_whatever_the_conditions() -> None:
    trigger = Trigger(When(interval_s=100))
    assert [trigger.due(scene(), i, requested=i == 2) for i in range(4)] == [True, False, True, False]


def test_a_time_that_goes_back_does_not_stop_the_classification() -> None:
    trigger = Trigger(When(interval_s=10))
    assert [trigger.due(scene(), time) for time in (1000, 1001, 5, 6, 15)] == [True, False, True, False, True]
