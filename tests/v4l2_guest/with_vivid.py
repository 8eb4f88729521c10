"""V4L2 cameras through the kernel's driver vivid; ``run`` starts it in a virtual machine."""

from __future__ import annotations

import logging
import time

import pytest

from linnet_runtime import open_source
from linnet_runtime.sources import Frame, Source, SourceError
from linnet_runtime.testing.source_conformance import SourceConformance


class TestVivid(SourceConformance):
    uri, wrong_uri = "/dev/video0", "/dev/video9"


def read(source: Source) -> Frame:
    frame = source.read()
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize("uri", ["0", "/dev/video0", "v4l2:///dev/video0", "0?width=640&height=360"])
def test_frames_have_the_size_that_was_asked_for_and_are_in_motion(uri: str) -> None:
    source = open_source(uri)
    first, *_, last = [read(source) for _ in range(10)]
    source.close()
    assert first.pixels.shape == ((360, 640, 3) if "?" in uri else last.pixels.shape)
    assert first.pixels.std() > 20
    assert (first.pixels != last.pixels).any()  # it draws the time


def test_a_size_that_the_driver_does_not_have_is_one_line_with_the_one_that_it_gave() -> None:
    with pytest.raises(SourceError, match=r"got \d+ x \d+ from the camera, expected 333 x 77. Fix: \?width="):
        open_source("0?width=333&height=77")


def test_another_rate_than_was_asked_for_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "linnet"):
        open_source("0?width=640&height=360&fps=7").close()
    assert "frames a second, not 7" in caplog.text


def test_a_frames_age_counts_from_the_drivers_time_stamp() -> None:
    """Frames that waited in the driver's buffers are as old as they are."""
    source = open_source("0")
    read(source)
    time.sleep(1)
    before = time.monotonic()
    waited = read(source)
    source.close()
    assert waited.captured_monotonic < before - 0.5
