# ruff: noqa: S101  # assert is pytest's language
"""What every sink does, as a pytest class: a sink's own test file names it, and that is all.

from linnet_runtime.testing.sink_conformance import SinkConformance

class TestMine(SinkConformance):
    sink, settings = "mine", {"pin": 17}  # its entry point, and its table of the configuration

A sink that needs more, such as a server, overrides ``open_sink``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from linnet_runtime.classifier import Classification
from linnet_runtime.results import Event, EventKind, Result
from linnet_runtime.sinks.api import Sink, Stream
from linnet_runtime.sinks.queued import QueuedSink
from linnet_runtime.sinks.registry import load_plugin
from linnet_runtime.sources.api import Frame

LABELS = ("bolt", "nut", "washer")
_ENDING_S = 10.0
CAMERAS = {"belt": ("", "left"), "door": ("",)}


def sample_stream() -> Stream:
    """A run of two cameras, the first of which has a named region."""
    return Stream(labels=LABELS, bundle="parts", cameras=CAMERAS)


def sample_frame(seed: int = 0, height: int = 48, width: int = 64) -> Frame:
    """A frame of noise, BGR; another one for each seed."""
    pixels = np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8)
    return Frame(pixels, captured_at=1_700_000_000.0 + seed)


def sample_result(
    number: int = 1,
    label: str = "nut",
    probability: float = 0.9,
    *,
    camera: str = "belt",
    region: str = "",
    picture: Frame | None = None,
) -> Result:
    """A result as a pipeline gives it."""
    others = [other for other in LABELS if other != label]
    rest = (1 - probability) / len(others)
    classification = Classification(
        label=label,
        probability=probability,
        top=((label, probability), *((other, rest) for other in others)),
        independent=False,
        logits=np.log(np.array([probability, *[rest] * len(others)], np.float32)),
        device="cpu:litert",
        artifact="model.int8.tflite",
        stages_ms={"preprocess": 0.2, "inference": 1.5, "decision": 0.05},
    )
    return Result(
        frame=number,
        captured_at=1_700_000_000.0 + number,
        age_ms=12.5,
        classification=classification,
        stages_ms={"wait": 10.0, **classification.stages_ms},
        label=label,
        probability=probability,
        camera=camera,
        region=region,
        picture=picture,
    )


def sample_items() -> list[Result | Event]:
    """Results of each camera and region, and an event of each kind, with and without frames."""
    results: list[Result | Event] = [
        sample_result(1, picture=sample_frame(1)),
        sample_result(2, "bolt", 0.4, region="left", picture=sample_frame(2)),
        sample_result(1, camera="door", picture=sample_frame(3, height=30, width=40)),  # another size
        sample_result(2, "unknown", 0.3, camera="door"),
    ]
    for number, kind in enumerate(get_args(EventKind)):
        results.append(Event(kind, 1_700_000_000.0, "belt", label="nut", previous="bolt", frame=sample_frame(number)))
        results.append(Event(kind, 1_700_000_000.0 - 3600, "door", reason="a reason"))  # the clock was set back
    results.append(Event("failover", 1_700_000_001.0, reason="coral: hung"))  # of no camera
    return results


class SinkConformance:
    """The tests."""

    sink: str
    """The sink's entry point."""
    settings: Mapping[str, Any] = {}
    """Its table of the configuration."""

    def open_sink(self, folder: Path) -> Sink:
        """Opens the sink for ``sample_stream()``; ``folder`` is an empty one for its files."""
        return load_plugin(self.sink, self.settings, sample_stream())

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Sink]:
        """The open sink."""
        sink = self.open_sink(tmp_path)
        try:
            yield sink
        finally:
            sink.close()

    def test_has_a_name_and_says_whether_it_uses_frames(self, opened: Sink) -> None:
        """The name is one word, for messages and counters."""
        assert opened.name.isidentifier()
        assert isinstance(opened.pictures, bool)

    def test_takes_every_result_and_event(self, opened: Sink) -> None:
        """Results of several cameras, regions and frame sizes, and events of every kind; the answer is a bool."""
        assert {type(opened.write(item)) for item in sample_items()} == {bool}

    def test_uses_something(self, opened: Sink) -> None:
        """At least one of the results and events is of use to it."""
        assert True in [opened.write(item) for item in sample_items()]

    def test_changes_no_frame(self, opened: Sink) -> None:
        """The frames belong to all sinks."""
        items = sample_items()
        for item in items:
            opened.write(item)
        for item, same in zip(items, sample_items(), strict=True):
            assert item.to_json() == same.to_json()
            for one, other in zip(_pixels(item), _pixels(same), strict=True):
                assert np.array_equal(one, other)

    def test_closes_twice_and_leaves_no_thread(self, tmp_path: Path) -> None:
        """Closing frees everything, and closing again does nothing."""
        before = set(threading.enumerate())
        sink = self.open_sink(tmp_path)
        for item in sample_items():
            sink.write(item)
        sink.close()
        sink.close()
        for thread in set(threading.enumerate()) - before:
            thread.join(_ENDING_S)  # a server in this process may still be ending one
        assert set(threading.enumerate()) <= before

    def test_every_item_is_counted_once(self, tmp_path: Path) -> None:
        """In a queue each result and event is delivered, skipped, failed or dropped, and none of them fails."""
        items = sample_items()
        with QueuedSink(self.open_sink(tmp_path)) as queued:
            for item in items:
                queued.put(item)
        assert queued.delivered + queued.skipped == len(items)
        assert queued.failed == queued.dropped == queued.kept == 0


def _pixels(item: Result | Event) -> list[Any]:
    frame = item.picture if isinstance(item, Result) else item.frame
    return [] if frame is None else [frame.pixels]
