"""The live pipeline, fed by simulated cameras: what it gives is current, counted and never made up."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

from edge_runtime.simulated_camera import BOLT, NUT, WASHER, SimulatedCamera, openings, reading_threads
from linnet_runtime import Classifier
from linnet_runtime.decisions.settings import DecisionSettings, Region, When
from linnet_runtime.pipeline.camera import Camera, CameraSettings
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.results import Event, Result
from linnet_runtime.sources import Frame
from program import PATIENCE_S


def test_every_frame_of_a_file_is_classified_in_order(classifier: Classifier) -> None:
    clip = SimulatedCamera([BOLT, NUT, WASHER, NUT], live=False)
    with Pipeline(openings(clip), classifier) as pipeline:
        results = list(pipeline)
        summary = pipeline.summary()
    assert [result.classification.label for result in results] == ["bolt", "nut", "washer", "nut"]
    assert [result.frame for result in results] == [1, 2, 3, 4]
    assert (summary["frames_read"], summary["frames_classified"], summary["frames_dropped"]) == (4, 4, 0)
    assert summary["source_reopened"] == 0
    assert clip.closed == 1


def test_a_slow_consumer_gets_the_newest_frame_of_a_fast_camera(classifier: Classifier) -> None:
    all_put, go_on = threading.Event(), threading.Event()
    camera = SimulatedCamera([BOLT, BOLT, NUT, NUT, WASHER, all_put.set, go_on])
    with Pipeline(openings(camera), classifier) as pipeline:
        assert all_put.wait(PATIENCE_S)  # five frames came before the consumer looked
        assert next(iter(pipeline)).classification.label == "washer"
        summary = pipeline.summary()
        go_on.set()
    assert (summary["frames_read"], summary["frames_classified"], summary["frames_dropped"]) == (5, 1, 4)


def test_each_result_has_its_frames_age_and_the_time_in_each_stage(classifier: Classifier) -> None:
    taken_at = time.monotonic() - 1000
    old = Frame(NUT.pixels, captured_at=12345.0, captured_monotonic=taken_at)
    with Pipeline(openings(SimulatedCamera([old], live=False)), classifier) as pipeline:
        (result,) = pipeline
        ages = pipeline.summary()["age_ms"]
    assert result.captured_at == 12345.0
    assert result.age_ms >= 1_000_000
    assert list(result.stages_ms) == ["wait", "preprocess", "inference", "decision"]
    assert result.stages_ms["wait"] >= 1_000_000  # from the capture until the classifier took it
    assert result.age_ms >= sum(result.stages_ms.values())
    assert isinstance(ages, dict)
    assert ages["mean"] == pytest.approx(result.age_ms)
    assert set(ages) == {"mean", "p50", "p90", "p99", "min", "max"}


def test_a_source_without_a_frame_gives_no_result_and_a_summary(classifier: Classifier) -> None:
    with Pipeline(openings(SimulatedCamera([], live=False)), classifier) as pipeline:
        assert list(pipeline) == []
        assert pipeline.summary()["age_ms"] is None


def test_a_frame_that_is_too_old_is_dropped_and_counted(classifier: Classifier) -> None:
    now = time.monotonic()
    old = Frame(NUT.pixels, captured_monotonic=now - 1000)
    clip = SimulatedCamera([old, BOLT, old], live=False)
    camera = Camera(lambda: clip, CameraSettings(max_age_ms=900_000))
    with Pipeline([camera], classifier) as pipeline:
        assert [(result.label, result.frame) for result in pipeline] == [("bolt", 1)]
        summary = pipeline.summary()
    assert (summary["frames_read"], summary["frames_classified"], summary["frames_too_old"]) == (3, 1, 2)


def test_the_newest_frame_of_a_file_and_every_frame_of_a_camera_can_be_had(classifier: Classifier) -> None:
    """``policy`` overrides what suits most sources."""
    all_put, go_on = threading.Event(), threading.Event()
    clip = SimulatedCamera([BOLT, NUT, WASHER, all_put.set], live=False)
    with Pipeline([Camera(lambda: clip, CameraSettings(policy="newest"))], classifier) as pipeline:
        assert all_put.wait(PATIENCE_S)
        assert [result.label for result in pipeline] == ["washer"]
    live = SimulatedCamera([BOLT, NUT, WASHER, go_on])
    with Pipeline([Camera(lambda: live, CameraSettings(policy="every"))], classifier) as pipeline:
        results = iter(pipeline)
        assert [next(results).label for _ in range(3)] == ["bolt", "nut", "washer"]
        go_on.set()


def test_several_cameras_share_a_classifier_and_give_one_stream(classifier: Classifier) -> None:
    clips = {name: SimulatedCamera([BOLT, NUT] * 10, live=False) for name in ("gate", "belt")}
    cameras = [Camera(lambda clip=clip: clip, CameraSettings(name=name)) for name, clip in clips.items()]  # type: ignore[misc]
    seen: list[Result] = []
    with Pipeline(cameras, classifier, on_result=seen.append) as pipeline:
        pipeline.run()
        summary = pipeline.summary()
    for name in clips:
        of_camera = [result for result in seen if result.camera == name]
        assert [result.frame for result in of_camera] == list(range(1, 21))
        assert [result.label for result in of_camera] == ["bolt", "nut"] * 10
    assert (summary["frames_read"], summary["frames_classified"]) == (40, 40)


def test_each_region_of_a_camera_has_a_result_of_its_own_and_the_rotation_comes_first(classifier: Classifier) -> None:
    """Bolt is a bright left third, washer a bright right one. Turned by half, they change places."""
    three = np.concatenate([BOLT.pixels, WASHER.pixels], axis=1)
    left, right = Region(name="left", rectangle=(0, 0, 0.5, 1)), Region(name="right", rectangle=(0.5, 0, 0.5, 1))
    labels = {}
    for rotate in (0, 180):
        settings = CameraSettings(name="belt", rotate=rotate, region=(left, right))
        camera = Camera(lambda: SimulatedCamera([Frame(three)], live=False), settings)
        with Pipeline([camera], classifier) as pipeline:
            results = list(pipeline)
            assert pipeline.summary()["frames_classified"] == 1
        assert [(result.camera, result.region, result.frame) for result in results] == [
            ("belt", "left", 1),
            ("belt", "right", 1),
        ]
        assert all(
            result.picture is not None and result.picture.pixels.shape == BOLT.pixels.shape for result in results
        )
        labels[rotate] = [result.label for result in results]
    assert labels[0] == labels[180] == ["bolt", "washer"]


def test_results_are_decided_and_their_events_come_after_them(classifier: Classifier) -> None:
    clip = SimulatedCamera([BOLT, NUT, NUT, NUT], live=False)
    camera = Camera(lambda: clip, CameraSettings(decision=DecisionSettings(agree=2)))
    seen: list[Result | Event] = []
    with Pipeline([camera], classifier, on_result=seen.append, on_event=seen.append) as pipeline:
        pipeline.run()
    assert [item.label if isinstance(item, Result) else item.kind for item in seen] == [
        "unknown",
        "unknown",
        "nut",
        "enter",
        "nut",
    ]
    assert [item.to_json().get("event") for item in seen if isinstance(item, Result)] == [None, None, "enter", None]


def test_frames_that_are_not_due_are_counted_and_a_request_makes_the_next_one_due(classifier: Classifier) -> None:
    first_read, requested, go_on = threading.Event(), threading.Event(), threading.Event()
    camera = SimulatedCamera([BOLT, first_read.set, requested, NUT, go_on, WASHER], live=False)
    settings = CameraSettings(when=When(request=True))
    with Pipeline([Camera(lambda: camera, settings)], classifier) as pipeline:
        assert first_read.wait(PATIENCE_S)
        pipeline.request()
        requested.set()
        assert next(iter(pipeline)).label == "nut"
        go_on.set()
        assert list(pipeline) == []
        summary = pipeline.summary()
    assert (summary["frames_read"], summary["frames_classified"], summary["frames_skipped"]) == (3, 1, 2)


def test_as_many_objects_are_held_after_many_frames_as_after_a_few(classifier: Classifier) -> None:
    """Memory does not grow with the frames: nothing is kept of them."""
    held = []

    def count() -> None:
        gc.collect()
        held.append(len(gc.get_objects()))

    script = [*[BOLT, NUT] * 500, count, *[BOLT, NUT] * 2000, count]
    with Pipeline(lambda: SimulatedCamera(script, live=False), classifier) as pipeline:
        pipeline.run()
        assert pipeline.frames_classified == 5000
        sketches = [pipeline._ages, *pipeline._stages.values()]
        assert len({len(sketch._buckets) for sketch in sketches}) == 1
        assert len(sketches) == 5
    assert held[1] - held[0] < 200  # 4000 frames lie between


def test_leaving_early_closes_the_source_and_its_thread(classifier: Classifier) -> None:
    camera = SimulatedCamera([BOLT] * 10_000, live=False)
    with Pipeline(openings(camera), classifier) as pipeline:
        next(iter(pipeline))
    pipeline.close()
    assert camera.closed == 1
    assert reading_threads() == []


def test_stopping_ends_the_iteration_however_often_it_is_asked(classifier: Classifier) -> None:
    go_on = threading.Event()
    camera = SimulatedCamera([BOLT, go_on])
    with Pipeline(openings(camera), classifier) as pipeline:
        labels = []
        for result in pipeline:
            labels.append(result.classification.label)
            pipeline.stop()
            pipeline.stop()
        go_on.set()
    assert labels == ["bolt"]
