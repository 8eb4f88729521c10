"""Frozen pictures and covered lenses are found in rendered and real sequences, and nothing else is taken for them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.simulated_camera import SimulatedCamera, frame_of
from linnet_runtime import Classifier
from linnet_runtime.pipeline.frame_watch import FrameWatch
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.results import Event
from linnet_runtime.sources import Frame
from linnet_runtime.synthetic.conveyor import conveyor_frames
from program import DATA, PATIENCE_S, needs_data

RATE = 2.0  # frames a second
NOISE = np.random.default_rng(0).normal(0, 1, (8, 480, 640, 3)).astype(np.float32)
Picture = np.ndarray


@pytest.fixture(scope="module")
def scene() -> Picture:
    """A rendered belt with its parts, uint8 [480, 640, 3]."""
    return next(conveyor_frames(0, None))[0]


def noisy(picture: Picture, seconds: float, *, light: float = 1.0, noise: float = 2.0) -> Iterator[Picture]:
    """The same scene as a camera sees it: each frame has other noise than those before and behind it."""
    for number in range(round(seconds * RATE)):
        yield expose(picture, number, light, noise)


def expose(picture: Picture, number: int, light: float, noise: float) -> Picture:
    grain = NOISE[number % len(NOISE)][: picture.shape[0], : picture.shape[1]]
    grain = grain[..., 1] if picture.ndim == 2 else grain
    return cv2.addWeighted(picture.astype(np.float32), light, grain, noise, 0.5).clip(0, 255).astype(np.uint8)


def events(*parts: Iterable[Picture], rate: float = RATE) -> list[tuple[str, float]]:
    """What a watch reports of these frames in order: the kind, and the time in seconds from the first frame."""
    return [(event.kind, event.at) for event in watched(*parts, rate=rate)]


def watched(*parts: Iterable[Picture], rate: float = RATE) -> list[Event]:
    watch = FrameWatch("gate")
    found: list[Event] = []
    for number, pixels in enumerate(itertools.chain(*parts)):
        color = "bgr" if pixels.ndim == 3 else "gray"
        found += watch.look(Frame(pixels, color, captured_at=number / rate, captured_monotonic=1000 + number / rate))
    return found


def hand(like: Picture) -> Picture:
    """A hand on the lens: a soft red glow without an edge."""
    across = np.linspace(20, 70, like.shape[1])[None, :, None]
    return (across * np.array([0.4, 0.5, 1.0]) * np.ones(like.shape)).astype(np.uint8)


def blurred(picture: Picture) -> Picture:
    return cv2.GaussianBlur(picture, (0, 0), 5)


def test_a_belt_in_motion_is_neither_frozen_nor_covered() -> None:
    frames = [pixels for pixels, _ in conveyor_frames(1, 160)]
    assert events(frames) == []


def test_a_frame_that_repeats_for_30_s_is_frozen_and_is_reported_once(scene: Picture) -> None:
    found = watched(noisy(scene, 10), [scene] * round(90 * RATE), noisy(scene, 10))
    assert [(event.kind, event.at) for event in found] == [("frozen", 40.0), ("moving", 100.0)]
    frozen, moving = found
    assert frozen.reason == "the same frame, byte for byte, for 30 s"
    assert moving.reason == "another frame after 90 s"
    assert frozen.camera == "gate"
    assert frozen.frame is not None
    assert np.array_equal(frozen.frame.pixels, scene)


def test_a_dark_room_is_not_frozen(scene: Picture) -> None:
    assert events(noisy(scene, 90, light=0.01, noise=1.0)) == []


def test_a_frame_of_one_color_that_repeats_is_frozen_with_that_reason() -> None:
    (event,) = watched([np.zeros((480, 640, 3), np.uint8)] * round(60 * RATE))
    assert event.kind == "frozen"
    assert event.reason.startswith("the same frame of a single color (a dark room would have noise), byte for byte")


def test_one_byte_that_changes_is_not_frozen(scene: Picture) -> None:
    """Wherever it is, such as in a clock that the camera draws."""
    other = scene.copy()
    other[101, 203, 1] ^= 1
    assert events([scene, other] * round(60 * RATE)) == []


def test_two_equal_pictures_of_a_camera_with_one_a_minute_are_not_frozen(scene: Picture) -> None:
    other = scene[::-1].copy()
    assert events([scene, scene, scene, other, other, other], rate=1 / 60) == []
    assert events([scene] * 4, rate=1 / 60) == [("frozen", 180.0)]


@pytest.mark.parametrize("fault", [hand, blurred], ids=["hand", "blur"])
@pytest.mark.parametrize("noise", [0.5, 4.0])
def test_a_covered_or_blurred_lens_is_reported_and_so_is_its_end(
    fault: Callable[[Picture], Picture], noise: float, scene: Picture
) -> None:
    found = watched(noisy(scene, 30), noisy(fault(scene), 30, noise=noise), noisy(scene, 30))
    assert [event.kind for event in found] == ["covered", "uncovered"]
    assert 34 <= found[0].at <= 37
    assert 60 <= found[1].at <= 61
    assert found[0].reason.endswith("the lens is covered, dirty or out of focus")


def test_somebody_who_walks_past_covers_nothing(scene: Picture) -> None:
    assert events(noisy(scene, 30), noisy(hand(scene), 3), noisy(scene, 30)) == []


def test_dusk_and_dawn_cover_nothing(scene: Picture) -> None:
    """Twenty minutes from day to night, in which a lamp's noise is all that is left, and back."""
    steps = np.geomspace(1.0, 0.01, 200)
    exposures = (expose(scene, number, float(light), 2.0) for number, light in enumerate([*steps, *steps[::-1]]))
    assert events(exposures, rate=1 / 6) == []


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.3), (0.3, 1.0), (0.02, 1.0)])
def test_a_light_that_goes_down_or_on_covers_nothing(before: float, after: float, scene: Picture) -> None:
    assert events(noisy(scene, 30, light=before), noisy(scene, 60, light=after)) == []


def test_a_frame_that_turns_black_at_once_is_reported_with_both_reasons(scene: Picture) -> None:
    found = watched(noisy(scene, 30), noisy(scene, 30, light=0.0, noise=3.0), noisy(scene, 10))
    assert [event.kind for event in found] == ["covered", "uncovered"]
    assert "black (mean value" in found[0].reason
    assert found[0].reason.endswith("the lens is covered or the light is off")


def test_gray_frames_and_another_size_are_watched_too(scene: Picture) -> None:
    gray = scene[..., 1]
    large = cv2.resize(scene, (600, 450), interpolation=cv2.INTER_CUBIC)
    found = watched(noisy(gray, 15), noisy(large, 15), noisy(blurred(gray), 10), [gray[:240].copy()] * 200)
    assert [event.kind for event in found] == ["covered", "uncovered", "frozen"]


@pytest.mark.parametrize("live", [True, False])
def test_a_cameras_events_come_out_of_the_pipeline_and_a_file_has_none(live: bool, small_bundle: Path) -> None:
    pixels = frame_of(0).pixels
    frames = [Frame(pixels, captured_monotonic=1000.0 + second) for second in range(40)]
    shown = threading.Event()
    camera = SimulatedCamera([*frames, shown.set], live=live)
    found: list[Event] = []
    with (
        Classifier.open(small_bundle, "fake") as classifier,
        Pipeline(lambda: camera, classifier, on_event=found.append) as pipeline,
    ):
        assert not live or shown.wait(PATIENCE_S)
        for _ in pipeline:
            if live:
                break
    kinds = [event.kind for event in found if event.kind not in ("enter", "offline")]
    assert kinds == (["frozen"] if live else [])


@needs_data
def test_a_real_clip_raises_no_alarm_and_its_faults_do() -> None:
    clip = DATA / "video" / "bottle-detection.mp4"
    if not clip.is_file():
        pytest.skip(f"no {clip.name} in the folder of the real photos")
    capture = cv2.VideoCapture(str(clip))
    frames = []
    while capture.grab():
        frames.append(capture.retrieve()[1])
    capture.release()
    assert events(frames, rate=29.83) == []
    frames = frames[::5]
    half = len(frames) // 2
    found = events(frames[:half], map(blurred, frames[half:]), rate=29.83 / 5)
    assert [kind for kind, _ in found] == ["covered"]
    found = events(frames[:half], [hand(frames[0]) + np.uint8(number % 2) for number in range(60)], rate=29.83 / 5)
    assert [kind for kind, _ in found] == ["covered"]
    found = events(frames[:half], [frames[half]] * 200, rate=29.83 / 5)
    assert [kind for kind, _ in found] == ["frozen"]
