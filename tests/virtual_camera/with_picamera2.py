"""``picamera2://0`` on libcamera's virtual camera; ``run`` starts it where both are."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picamera2 import Picamera2
from picamera2.allocators import LibcameraAllocator
from striped_picture import STRIPES

from edge_runtime.small_bundle import write_small_bundle
from linnet_runtime import Classifier, Pipeline, open_source
from linnet_runtime.sources import Frame, SourceError
from linnet_runtime.testing.source_conformance import SourceConformance

_open = Picamera2.__init__


def _open_with_its_own_memory(camera: Any, number: int) -> None:
    """The virtual camera fills only buffers of libcamera's own allocator: those of picamera2's have one plane."""
    _open(camera, number)
    camera.allocator = LibcameraAllocator(camera.camera)


Picamera2.__init__ = _open_with_its_own_memory
# It has no sensor, and so no raw modes, of which picamera2 takes the first.
Picamera2._get_raw_modes = lambda _: [{"format": "NV12", "size": (640, 480)}]


class TestVirtualCamera(SourceConformance):
    uri, wrong_uri = "picamera2://0", "picamera2://7"


def read(count: int) -> list[Frame]:
    source = open_source("picamera2://0")
    frames = [source.read() for _ in range(count)]
    source.close()
    assert all(isinstance(frame, Frame) for frame in frames)
    return frames  # type: ignore[return-value]


def test_frames_are_the_picture_with_its_channels_in_their_order() -> None:
    for frame in read(3):
        assert (frame.pixels.shape, frame.color) == ((480, 640, 3), "bgr")
        stripes = [frame.pixels[100:380, i * 213 + 50 : i * 213 + 150].mean(axis=(0, 1)) for i in range(3)]
        # The virtual camera passes a JPEG's full range off as the limited one: dark gets darker, and bright brighter.
        np.testing.assert_allclose(stripes, STRIPES, atol=20)


def test_a_frames_age_counts_from_the_sensors_time_stamp() -> None:
    before = time.monotonic()
    frames = read(10)
    times = [frame.captured_monotonic for frame in frames]
    assert times == sorted(set(times))
    assert before < times[0] < times[-1] <= time.monotonic()
    for frame in frames:
        assert abs((time.time() - frame.captured_at) - (time.monotonic() - frame.captured_monotonic)) < 0.1


def test_a_camera_that_is_in_use_is_one_line_and_can_be_opened_when_it_is_free() -> None:
    taken = open_source("picamera2://0")
    with pytest.raises(SourceError, match=r"picamera2://0: got .*, expected a camera that no other program uses"):
        open_source("picamera2://0")
    taken.close()
    open_source("picamera2://0").close()


def test_a_pipeline_labels_its_frames(tmp_path: Path) -> None:
    """The middle is bright: a nut, to the simulated device."""
    bundle = write_small_bundle(tmp_path / "small.linnet")
    with (
        Classifier.open(bundle, "fake") as classifier,
        Pipeline(lambda: open_source("picamera2://0"), classifier) as pipeline,
    ):
        results = list(itertools.islice(pipeline, 5))
    assert {result.label for result in results} == {"nut"}
    assert [result.frame for result in results] == [1, 2, 3, 4, 5]
