"""The thread that runs the model: it does not wait for what follows an inference, and takes no frame too early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.simulated_camera import SimulatedCamera, frame_of
from linnet_devices.api import DeviceError, Logits, Pixels
from linnet_runtime import Classifier
from linnet_runtime.decisions.settings import Region
from linnet_runtime.pipeline.camera import Camera, CameraSettings
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.sources import Frame
from program import PATIENCE_S

BOLT, NUT, WASHER = frame_of(0), frame_of(1), frame_of(2)


@pytest.fixture
def classifier(small_bundle: Path) -> Iterator[Classifier]:
    with Classifier.open(small_bundle, "fake") as classifier:
        yield classifier


class Watched:
    """A session that counts what it runs, and fails at one of its runs."""

    def __init__(self, classifier: Classifier, *, fails_at: int = 0) -> None:
        self._run, self._fails_at = classifier.session.run, fails_at
        self.runs = 0
        self.ran_three = threading.Event()
        classifier.session.run = self.run  # type: ignore[method-assign]

    def run(self, pixels: Pixels) -> Logits:
        self.runs += 1
        if self.runs == self._fails_at:
            raise DeviceError("the simulated device", got="a fault")
        if self.runs == 3:
            self.ran_three.set()
        return self._run(pixels)


def test_where_every_frame_matters_the_device_computes_while_a_result_is_used(classifier: Classifier) -> None:
    device = Watched(classifier)
    clip = SimulatedCamera([BOLT, NUT, WASHER, NUT], live=False)
    with Pipeline(lambda: clip, classifier) as pipeline:
        results = iter(pipeline)
        first = next(results)
        assert device.ran_three.wait(PATIENCE_S)
        assert [result.label for result in (first, *results)] == ["bolt", "nut", "washer", "nut"]


def test_where_the_newest_frame_matters_the_device_waits_until_a_result_is_asked_for(classifier: Classifier) -> None:
    """Else it would be as old as the result before it took to be used."""
    device = Watched(classifier)
    used, all_put, go_on = threading.Event(), threading.Event(), threading.Event()
    camera = SimulatedCamera([BOLT, used, NUT, NUT, WASHER, all_put.set, go_on])
    with Pipeline(lambda: camera, classifier) as pipeline:
        results = iter(pipeline)
        assert next(results).label == "bolt"
        used.set()
        assert all_put.wait(PATIENCE_S)
        assert device.runs == 1
        assert next(results).label == "washer"
        go_on.set()


def test_a_fault_of_the_device_comes_out_after_the_results_before_it(classifier: Classifier) -> None:
    Watched(classifier, fails_at=3)
    clip = SimulatedCamera([BOLT, NUT, WASHER, NUT], live=False)
    with Pipeline(lambda: clip, classifier) as pipeline:
        results = iter(pipeline)
        assert [next(results).label, next(results).label] == ["bolt", "nut"]
        with pytest.raises(DeviceError, match="a fault"):
            next(results)


def test_after_the_end_there_are_no_more_results_however_often_they_are_asked_for(classifier: Classifier) -> None:
    with Pipeline(lambda: SimulatedCamera([BOLT], live=False), classifier) as pipeline:
        assert [len(list(pipeline)) for _ in range(9)] == [1, *[0] * 8]


def test_closing_ends_the_thread_with_results_that_nobody_took(classifier: Classifier) -> None:
    clip = SimulatedCamera([BOLT] * 100, live=False)
    with Pipeline(lambda: clip, classifier) as pipeline:
        next(iter(pipeline))
    assert [thread for thread in threading.enumerate() if thread.name == "linnet-device"] == []


def test_a_frame_of_several_regions_that_is_too_old_counts_once(classifier: Classifier) -> None:
    wide = np.concatenate([BOLT.pixels, WASHER.pixels], axis=1)
    left, right = Region(name="left", rectangle=(0, 0, 0.5, 1)), Region(name="right", rectangle=(0.5, 0, 0.5, 1))
    old = Frame(wide, captured_monotonic=-1e6)
    clip = SimulatedCamera([old, Frame(wide), old], live=False)
    camera = Camera(lambda: clip, CameraSettings(max_age_ms=900_000, region=(left, right)))
    with Pipeline([camera], classifier) as pipeline:
        assert [(result.region, result.frame) for result in pipeline] == [("left", 1), ("right", 1)]
        assert pipeline.summary()["frames_too_old"] == 2
