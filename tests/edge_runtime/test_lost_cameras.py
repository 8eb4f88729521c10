"""Cameras that cannot be opened, that die and come back, and that stand still."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

import linnet_runtime.pipeline.camera
from edge_runtime.simulated_camera import BOLT, NUT, SimulatedCamera, openings, reading_threads
from edge_runtime.small_bundle import LABELS
from linnet_devices.api import LinnetError
from linnet_runtime import Classifier
from linnet_runtime.decisions.settings import Region
from linnet_runtime.pipeline.camera import Camera, CameraSettings, _backoff_s
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.results import Event
from linnet_runtime.sources import Frame, SourceError


@pytest.fixture
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linnet_runtime.pipeline.camera, "_SHORTEST_BACKOFF_S", 0.01)


def test_a_source_that_never_was_there_is_an_error_at_once(classifier: Classifier) -> None:
    with pytest.raises(SourceError, match="no camera"):
        Pipeline(openings(SourceError("no camera")), classifier)
    assert reading_threads() == []


def test_an_error_of_the_source_comes_out_where_the_results_do(classifier: Classifier) -> None:
    camera = SimulatedCamera([BOLT, ValueError("frames of another shape")])
    with Pipeline(openings(camera), classifier) as pipeline:
        results = iter(pipeline)
        assert next(results).classification.label == "bolt"
        with pytest.raises(ValueError, match="frames of another shape"):
            next(results)
    assert camera.closed == 1
    assert reading_threads() == []


@pytest.mark.usefixtures("short_backoff")
def test_a_camera_that_dies_is_opened_again_and_nothing_is_made_up_meanwhile(
    classifier: Classifier, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    first, second = SimulatedCamera([BOLT]), SimulatedCamera([NUT, go_on])
    gone = SourceError("camera", got="no frame")
    events: list[Event] = []
    with (
        caplog.at_level(logging.WARNING, "linnet"),
        Pipeline(openings(first, gone, gone, gone, second), classifier, on_event=events.append) as pipeline,
    ):
        results = iter(pipeline)
        labels = [next(results).classification.label, next(results).classification.label]
        summary = pipeline.summary()
        go_on.set()
    assert labels == ["bolt", "nut"]
    assert (summary["frames_read"], summary["frames_classified"], summary["source_reopened"]) == (2, 2, 1)
    assert first.closed == second.closed == 1
    kinds = ["enter", "offline", "online", "change"]
    assert [event.kind for event in events] == kinds
    assert events[1].reason == "no more frames"
    lost, still_lost, back = caplog.messages  # the same reason is logged once
    assert (lost, still_lost) == ("source lost: no more frames", "source still lost: camera: got no frame")
    assert back.startswith("source opened again after ")


@pytest.mark.usefixtures("short_backoff")
def test_a_live_source_that_raises_amid_its_frames_is_opened_again(classifier: Classifier) -> None:
    go_on = threading.Event()
    first = SimulatedCamera([BOLT, SourceError("camera", got="half a frame")])
    events: list[Event] = []
    with Pipeline(openings(first, SimulatedCamera([NUT, go_on])), classifier, on_event=events.append) as pipeline:
        assert "nut" in (result.label for result in pipeline)
        go_on.set()
    assert first.closed == 1
    assert "camera: got half a frame" in [event.reason for event in events]


def test_a_live_source_whose_first_frame_cannot_be_used_is_an_error(classifier: Classifier) -> None:
    camera = SimulatedCamera([SourceError("camera", got="frames of shape [1, 9]")])
    with Pipeline(openings(camera), classifier) as pipeline, pytest.raises(SourceError, match="of shape"):
        pipeline.run()


@pytest.mark.usefixtures("short_backoff")
def test_damaged_frames_are_counted_through_all_openings_of_a_source(classifier: Classifier) -> None:
    go_on = threading.Event()
    first, second = SimulatedCamera([BOLT]), SimulatedCamera([NUT, go_on])
    first.skipped, second.skipped = 3, 4
    with Pipeline(openings(first, second), classifier) as pipeline:
        assert "nut" in (result.label for result in pipeline)
        assert pipeline.summary()["frames_damaged"] == 7
        go_on.set()


def test_a_lost_source_is_tried_again_after_a_tenth_of_the_time_that_it_is_lost() -> None:
    """One that is soon back is read at once, and one that is gone for the night costs little."""
    assert [_backoff_s(lost) for lost in (0, 5, 6.5, 100, 36_000)] == pytest.approx([0.5, 0.5, 0.65, 10, 30])


def test_a_frozen_camera_is_an_event_and_its_frames_are_still_classified(classifier: Classifier) -> None:
    go_on = threading.Event()
    frames = [Frame(NUT.pixels, captured_monotonic=100.0 + i) for i in range(12)]
    camera = SimulatedCamera([*frames, Frame(BOLT.pixels, captured_monotonic=200.0), go_on])
    settings = CameraSettings(name="gate", policy="every", frozen_s=9)
    events: list[Event] = []
    with Pipeline([Camera(lambda: camera, settings)], classifier, on_event=events.append) as pipeline:
        results = iter(pipeline)
        labels = [next(results).label for _ in range(13)]
        go_on.set()
    assert labels == ["nut"] * 12 + ["bolt"]
    frozen, moving = (event for event in events if event.kind in ("frozen", "moving"))
    assert (frozen.kind, frozen.camera, moving.kind) == ("frozen", "gate", "moving")
    assert "byte for byte, for 9 s" in frozen.reason


def test_where_one_of_several_cameras_cannot_be_opened_the_others_are_closed(classifier: Classifier) -> None:
    first = SimulatedCamera([BOLT])
    cameras = [Camera(lambda: first), Camera(openings(SourceError("no camera")))]
    with pytest.raises(SourceError, match="no camera"):
        Pipeline(cameras, classifier)
    assert first.closed == 1


@pytest.mark.usefixtures("short_backoff")
def test_a_camera_that_comes_back_with_another_frame_size_goes_on(classifier: Classifier) -> None:
    go_on = threading.Event()
    larger = Frame(np.repeat(np.repeat(NUT.pixels, 5, axis=0), 5, axis=1))
    cameras = (SimulatedCamera([NUT]), SimulatedCamera([larger, go_on]))
    with Pipeline(openings(*cameras), classifier) as pipeline:
        results = iter(pipeline)
        assert [next(results).classification.label, next(results).classification.label] == ["nut", "nut"]
        go_on.set()


def test_a_file_that_ends_is_not_opened_again(classifier: Classifier) -> None:
    with Pipeline(openings(SimulatedCamera([BOLT], live=False)), classifier) as pipeline:
        assert len(list(pipeline)) == 1


def test_closing_while_a_lost_camera_is_awaited_ends_the_thread_at_once(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linnet_runtime.pipeline.camera, "_SHORTEST_BACKOFF_S", 3600.0)
    with Pipeline(openings(SimulatedCamera([BOLT])), classifier) as pipeline:
        assert next(iter(pipeline)).classification.label == LABELS[0]
    assert reading_threads() == []


@pytest.mark.usefixtures("short_backoff")
def test_a_region_without_a_pixel_after_a_reconnection_is_an_event_and_the_others_go_on(
    classifier: Classifier, caplog: pytest.LogCaptureFixture
) -> None:
    """The camera is back with frames of a third of the size, and then with the first size again."""
    small, go_on = Frame(NUT.pixels[::3, ::3].copy()), threading.Event()
    sizes = [SimulatedCamera([NUT]), SimulatedCamera([small, small]), SimulatedCamera([NUT, go_on])]
    regions = (Region(name="dot", rectangle=(0.4, 0.4, 0.1, 0.1)), Region(name="all", rectangle=(0, 0, 1, 1)))
    settings = CameraSettings(name="belt", policy="every", region=regions)
    events: list[Event] = []
    with (
        caplog.at_level(logging.WARNING, "linnet"),
        Pipeline([Camera(openings(*sizes), settings)], classifier, on_event=events.append) as pipeline,
    ):
        results = iter(pipeline)
        regions_seen = [next(results).region for _ in range(6)]
        summary = pipeline.summary()
        go_on.set()
    assert regions_seen == ["dot", "all", "all", "all", "dot", "all"]
    assert (summary["frames_read"], summary["frames_classified"]) == (4, 4)
    lost, back = (event for event in events if event.kind in ("too_small", "large_enough"))
    assert (lost.kind, lost.camera, lost.region) == ("too_small", "belt", "dot")
    assert "got 0.4 x 0.4 pixels of a frame of 4 x 4, expected at least one pixel" in lost.reason
    assert (back.kind, back.region) == ("large_enough", "dot")
    assert sum("at least one pixel" in line for line in caplog.messages) == 1


@pytest.mark.usefixtures("short_backoff")
def test_frames_that_are_too_small_for_every_region_are_counted_and_the_run_goes_on(classifier: Classifier) -> None:
    small, go_on = Frame(NUT.pixels[::3, ::3].copy()), threading.Event()
    sizes = [SimulatedCamera([NUT]), SimulatedCamera([small]), SimulatedCamera([BOLT, go_on])]
    settings = CameraSettings(policy="every", region=(Region(rectangle=(0.4, 0.4, 0.1, 0.1)),))
    with Pipeline([Camera(openings(*sizes), settings)], classifier) as pipeline:
        results = iter(pipeline)
        assert [next(results).frame for _ in range(2)] == [1, 2]
        summary = pipeline.summary()
        go_on.set()
    assert (summary["frames_read"], summary["frames_classified"], summary["frames_skipped"]) == (3, 2, 1)


def test_a_region_without_a_pixel_at_the_first_frame_is_an_error(classifier: Classifier) -> None:
    clip = SimulatedCamera([NUT], live=False)
    settings = CameraSettings(region=(Region(rectangle=(0.4, 0.4, 0.01, 0.01)),))
    with (
        Pipeline([Camera(lambda: clip, settings)], classifier) as pipeline,
        pytest.raises(LinnetError, match="expected at least one pixel"),
    ):
        pipeline.run()
