"""The Raspberry Pi's camera, through a strict stand-in for picamera2: simulated, no camera was here."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from linnet_runtime.sources import Frame, SourceError, open_source
from program import linnet

SIMULATED = Path(__file__).with_name("simulated")


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The simulated module, new for each test."""
    monkeypatch.syspath_prepend(SIMULATED)
    yield importlib.import_module("picamera2")
    del sys.modules["picamera2"]


def test_a_frame_is_the_scene_without_the_rows_padding(picamera2: ModuleType) -> None:
    source = open_source("picamera2://0")
    frame = source.read()
    source.close()
    assert frame is not None
    assert frame.color == "bgr"
    assert frame.pixels.shape == (480, 640, 3)
    difference = np.abs(frame.pixels.astype(int) - picamera2.scene(480, 640))
    assert np.median(difference) <= 2  # the colours' own loss in YUV420
    assert difference[:, -8:].max() <= 4  # the last columns are no padding


def test_a_frames_age_counts_from_the_sensor(picamera2: ModuleType) -> None:
    source = open_source("picamera2:")
    frame = source.read()
    source.close()
    assert frame is not None
    lag = picamera2.SENSOR_LAG_NS / 1e9
    assert frame.captured_monotonic <= time.monotonic() - lag
    assert frame.captured_at <= time.time() - lag


def test_a_frame_stays_when_the_camera_fills_its_buffer_again(picamera2: ModuleType) -> None:
    source = open_source("picamera2://0")
    first = source.read()
    assert isinstance(first, Frame)
    kept = first.pixels.copy()
    source.read()
    source.close()
    np.testing.assert_array_equal(first.pixels, kept)


def test_a_camera_that_stalls_ends_and_can_be_closed(picamera2: ModuleType) -> None:
    source = open_source("picamera2://0")
    picamera2.STALLED = True  # type: ignore[attr-defined]
    assert source.read() is None
    source.close()
    assert picamera2.opened[0].state == "closed"


def test_requests_are_handed_back_and_the_camera_is_closed(picamera2: ModuleType) -> None:
    source = open_source("picamera2://0")
    for _ in range(20):  # more than there are buffers
        assert source.read() is not None
    source.close()
    (camera,) = picamera2.opened
    assert (camera.state, camera.outstanding) == ("closed", 0)
    open_source("picamera2://0").close()


def test_another_format_than_was_asked_for_is_refused_and_the_camera_closed(picamera2: ModuleType) -> None:
    picamera2.GIVEN_FORMAT = "RGB888"  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match="got a RGB888 stream, expected YUV420 or NV12"):
        open_source("picamera2://0")
    assert picamera2.opened[0].state == "closed"


def test_a_camera_that_fails_to_start_is_closed_and_can_be_opened_again(picamera2: ModuleType) -> None:
    picamera2.FAIL_ON_START = True  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match="Failed to start camera: Broken pipe"):
        open_source("picamera2://0")
    picamera2.FAIL_ON_START = False  # type: ignore[attr-defined]
    open_source("picamera2://0").close()


@pytest.mark.parametrize("uri", ["picamera2://1", "picamera2://0"])
def test_a_camera_that_is_not_there_or_taken_is_one_line(uri: str, picamera2: ModuleType) -> None:
    taken = open_source("picamera2://0")
    with pytest.raises(SourceError, match=r"picamera2://\d: got .*, expected a camera that no other program uses"):
        open_source(uri)
    taken.close()


def test_a_cameras_name_that_is_no_number_is_refused(picamera2: ModuleType) -> None:
    with pytest.raises(SourceError, match="expected picamera2://NUMBER"):
        open_source("picamera2://front")


def test_without_the_package_the_line_says_how_to_get_it() -> None:
    with pytest.raises(SourceError, match=r"Fix: sudo apt install python3-picamera2"):
        open_source("picamera2://0")


def test_the_program_labels_the_cameras_frames(small_bundle: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SIMULATED)}
    done = linnet("run", small_bundle, "--device", "fake", "--source", "picamera2://0", "--frames", 2, env=environment)
    *frames, last = map(json.loads, done.stdout.splitlines())
    assert [frame["frame"] for frame in frames] == [1, 2]
    assert all(frame["age_ms"] >= 5000 for frame in frames)
    assert last["summary"]["frames_classified"] == 2
