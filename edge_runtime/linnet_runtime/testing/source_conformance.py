# ruff: noqa: S101  # assert is pytest's language
"""What every source does, as a pytest class: a source's own test file names it, and that is all.

from linnet_runtime.testing.source_conformance import SourceConformance

class TestMine(SourceConformance):
    uri = "mine:0"  # its scheme is a plug-in's entry point
    wrong_uri = "mine:nowhere"  # what it cannot open

A source that needs more, such as a server or a file, overrides the fixture ``uri``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from linnet_runtime.sources import open_source
from linnet_runtime.sources.api import NO_FRAME_YET, Frame, Source, SourceError

_FRAMES = 3
_PATIENCE_S = 600.0  # a loaded machine is given the time that it takes


class SourceConformance:
    """Subclass it with a URI that gives at least one frame, and a name that begins with Test."""

    uri: str
    """Opens the source."""
    wrong_uri: str
    """Has its scheme, and cannot be opened."""

    @pytest.fixture
    def source(self) -> Iterator[Source]:
        """The open source."""
        source = open_source(self.uri)
        yield source
        source.close()

    def test_says_what_it_is(self, source: Source) -> None:
        """A source is live or ends, gives every frame or the newest, and has skipped none before it is read."""
        assert isinstance(source.live, bool)
        assert isinstance(source.every_frame, bool)
        assert isinstance(source.skipped, int)
        assert source.skipped >= 0

    def test_gives_frames_of_uint8_pixels(self, source: Source) -> None:
        """A frame is uint8 [H, W, 3], or [H, W] where its color is gray."""
        for frame in _frames(source):
            assert frame.color in ("bgr", "rgb", "gray")
            assert frame.pixels.dtype == np.uint8
            assert frame.pixels.ndim == (2 if frame.color == "gray" else 3)
            assert frame.pixels.shape[2:] == (() if frame.color == "gray" else (3,))
            assert frame.pixels.size > 0

    def test_frames_have_both_times_of_their_capture(self, source: Source) -> None:
        """They are in the past, in order, and the same moment on two clocks."""
        frames = _frames(source)
        for frame in frames:
            assert frame.captured_monotonic <= time.monotonic()
            ages = time.time() - frame.captured_at, time.monotonic() - frame.captured_monotonic
            assert ages[0] == pytest.approx(ages[1], abs=1.0)
        times = [frame.captured_monotonic for frame in frames]
        assert times == sorted(times)

    def test_a_frame_outlives_the_next_read_and_the_source(self, source: Source) -> None:
        """Its pixels belong to the caller: no buffer that is filled again."""
        first = _frames(source, 1)[0]
        kept = first.pixels.copy()
        _frames(source)
        source.close()
        np.testing.assert_array_equal(first.pixels, kept)

    def test_is_read_in_another_thread_than_it_was_opened_in(self, source: Source) -> None:
        """A camera's thread reads what the main thread has opened, and closes it."""
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(_frames, source, 1).result()
            thread.submit(source.close).result()

    def test_closing_twice_does_nothing(self, source: Source) -> None:
        """Also before the first frame."""
        source.close()
        source.close()

    def test_can_be_opened_again_after_closing(self, source: Source) -> None:
        """Nothing keeps the camera or file."""
        source.close()
        again = open_source(self.uri)
        try:
            assert _frames(again, 1)
        finally:
            again.close()

    def test_leaves_no_thread_behind(self) -> None:
        """Closing ends the threads that opening has started."""
        before = set(threading.enumerate())
        source = open_source(self.uri)
        _frames(source, 1)
        source.close()
        give_up = time.monotonic() + _PATIENCE_S
        while set(threading.enumerate()) - before and time.monotonic() < give_up:
            time.sleep(0.01)
        assert set(threading.enumerate()) <= before

    def test_what_cannot_be_opened_is_one_line(self) -> None:
        """A SourceError that says what was found, without a password."""
        with pytest.raises(SourceError) as error:
            open_source(self.wrong_uri)
        line = str(error.value)
        assert line
        assert "\n" not in line
        assert error.value.got is not None


def _frames(source: Source, count: int = _FRAMES) -> list[Frame]:
    """The first frames, at least one; fewer where the source ends."""
    frames: list[Frame] = []
    give_up = time.monotonic() + _PATIENCE_S
    while len(frames) < count and time.monotonic() < give_up:
        frame = source.read()
        if frame is None:
            break
        if frame is not NO_FRAME_YET:
            frames.append(frame)
    assert frames, "the source gave no frame"
    return frames
