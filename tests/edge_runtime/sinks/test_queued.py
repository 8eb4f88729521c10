"""The queue of a sink: it never delays the stream, and everything that it loses is counted."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_runtime.sinks.broker import until
from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import SinkAway, SinkError, Stream
from linnet_runtime.sinks.callback import CallbackSink
from linnet_runtime.sinks.json_lines import JsonLines
from linnet_runtime.sinks.kept_events import KeptEvents
from linnet_runtime.sinks.queued import PICTURES, QueuedSink
from linnet_runtime.sinks.settings import JsonLinesSettings
from linnet_runtime.sinks.several import Sinks
from linnet_runtime.testing.sink_conformance import SinkConformance, sample_frame, sample_result
from program import PATIENCE_S

CHANGE = Event("change", 1.0, "belt", label="nut", previous="bolt")


class Recorder:
    """A sink that waits at a gate before each item, and keeps them in memory."""

    name, pictures = "recorder", False

    def __init__(self, *, opened: bool = True, pictures: bool = False) -> None:
        self.items: list[Result | Event] = []
        self.closed = 0
        self.pictures = pictures
        self.gate = threading.Event()
        self.entered = threading.Event()
        if opened:
            self.gate.set()

    def write(self, item: Result | Event) -> bool:
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        self.items.append(item)
        return True

    def close(self) -> None:
        self.closed += 1


class Away(Recorder):
    """A sink whose receiver is away until the gate opens."""

    def write(self, item: Result | Event) -> bool:
        self.entered.set()
        if not self.gate.is_set():
            raise SinkAway("receiver", got="no connection")
        self.items.append(item)
        return True


class TestCallback(SinkConformance):
    def open_sink(self, folder: Path) -> CallbackSink:
        return CallbackSink(lambda item: None)


class TestJsonLines(SinkConformance):
    def open_sink(self, folder: Path) -> JsonLines:
        return JsonLines(JsonLinesSettings(), Stream())


def test_items_arrive_in_order_and_all_are_counted() -> None:
    sink = Recorder()
    items = [sample_result(1), CHANGE, sample_result(2), sample_result(3), CHANGE]
    with QueuedSink(sink) as queued:
        for item in items:
            queued.put(item)
    assert [item.to_json() for item in sink.items] == [item.to_json() for item in items]
    assert queued.summary() == {"delivered": 5, "dropped": 0, "failed": 0}
    assert sink.closed == 1


def test_a_full_queue_loses_its_oldest_results_and_no_event() -> None:
    sink = Recorder(opened=False)
    with QueuedSink(sink, results=2, events=3) as queued:
        queued.put(sample_result(0))
        assert sink.entered.wait(PATIENCE_S)  # the first one is being written
        queued.put(CHANGE)
        for number in range(1, 11):
            queued.put(sample_result(number))
        queued.put(CHANGE)
        sink.gate.set()
    frames = [item.frame if isinstance(item, Result) else item.kind for item in sink.items]
    assert frames == [0, "change", 9, 10, "change"]
    assert queued.summary() == {"delivered": 5, "dropped": 8, "failed": 0}


def test_a_sink_that_hangs_never_delays_the_stream_and_its_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    sink = Recorder(opened=False)
    queued = QueuedSink(sink, results=5)
    for number in range(100):
        queued.put(sample_result(number))  # returns, or this test would never end
    queued.finish(seconds=0.01)
    with caplog.at_level(logging.WARNING, "linnet"):
        queued.close()
    assert queued.delivered + queued.dropped + queued.failed == 100
    assert "was not closed in time" in caplog.text
    sink.gate.set()


@pytest.mark.parametrize("error", [ValueError("a"), SinkError("b"), KeyError(), SystemExit(3), OSError(28, "full")])
def test_a_sink_that_raises_anything_is_counted_and_the_stream_goes_on(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_twice(item: Result | Event) -> None:
        if isinstance(item, Result) and item.frame < 3:
            raise error

    with caplog.at_level(logging.WARNING, "linnet"), QueuedSink(CallbackSink(fail_twice)) as queued:
        for number in range(1, 5):
            queued.put(sample_result(number))
    assert queued.summary() == {"delivered": 2, "dropped": 0, "failed": 2}
    assert len(caplog.messages) == 2  # one for the first failure, one for the recovery
    assert caplog.messages[1] == "the sink callback delivers again; 2 lost so far"


def test_events_are_kept_while_the_receiver_is_away_and_results_are_counted_as_lost() -> None:
    sink = Away(opened=False)
    with QueuedSink(sink, retry_s=0.01) as queued:
        queued.put(sample_result(1))
        queued.put(CHANGE)
        until(lambda: queued.failed == 1)
        queued.put(CHANGE)
        sink.gate.set()
    assert [type(item) for item in sink.items] == [Event, Event]
    assert queued.summary() == {"delivered": 2, "dropped": 0, "failed": 1}


def test_events_that_are_not_delivered_at_the_end_are_counted() -> None:
    queued = QueuedSink(Away(opened=False), events=3, retry_s=0.01)
    for _ in range(5):
        queued.put(CHANGE)
    queued.finish(seconds=0.05)
    queued.close()
    assert queued.summary() == {"delivered": 0, "dropped": 5, "failed": 0}


def test_a_file_keeps_events_for_the_next_run(tmp_path: Path) -> None:
    """They are on disk while the receiver is away, so that a killed process keeps them too."""
    path = tmp_path / "events.jsonl"
    events = [Event("change", float(number), "belt", label="nut") for number in range(4)]
    queued = QueuedSink(Away(opened=False), retry_s=0.01, kept_events=KeptEvents(path))
    queued.put(events[0])
    queued.put(events[1])
    until(lambda: path.exists() and len(path.read_text().splitlines()) == 2)
    queued.put(events[2])
    queued.finish(seconds=0.05)
    queued.close()
    assert queued.summary() == {"delivered": 0, "dropped": 0, "failed": 0, "kept": 3}
    sink = Recorder()
    with QueuedSink(sink, kept_events=KeptEvents(path)) as queued:
        queued.put(events[3])
    assert sink.items == events
    assert not path.exists()


def test_an_event_is_on_disk_before_it_is_sent_and_stays_there_when_its_sink_hangs_to_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that is killed meanwhile keeps it. The thread that hangs does not remove the file when it goes on."""
    path = tmp_path / "events.jsonl"
    sink = Recorder(opened=False)
    queued = QueuedSink(sink, kept_events=KeptEvents(path))
    queued.put(CHANGE)
    assert sink.entered.wait(PATIENCE_S)
    assert len(path.read_text().splitlines()) == 1
    queued.put(Event("leave", 2.0, "belt", previous="nut"))
    queued.put(sample_result())
    queued.finish(seconds=0.01)
    queued.close()
    assert queued.summary() == {"delivered": 0, "dropped": 1, "failed": 0, "kept": 2}
    assert "was not closed in time: 1 results and events are lost, and 2 events are kept on disk" in caplog.text
    sink.gate.set()
    until(lambda: sink.closed == 1)
    assert [event.kind for event in KeptEvents(path).load(10)] == ["change", "leave"]
    assert queued.summary() == {"delivered": 0, "dropped": 1, "failed": 0, "kept": 2}


def test_a_sink_that_hangs_in_closing_keeps_its_file(tmp_path: Path) -> None:
    go_on = threading.Event()

    class Hanging(Away):
        def close(self) -> None:
            go_on.wait(PATIENCE_S)

    path = tmp_path / "events.jsonl"
    queued = QueuedSink(Hanging(opened=False), retry_s=0.01, kept_events=KeptEvents(path))
    queued.put(CHANGE)
    until(path.exists)
    queued.finish(seconds=0.01)
    queued.close()
    assert queued.summary() == {"delivered": 0, "dropped": 0, "failed": 0, "kept": 1}
    assert len(path.read_text().splitlines()) == 1
    go_on.set()


def test_a_backlog_that_is_delivered_leaves_the_file_without_being_written_for_each(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    kept = KeptEvents(path)
    events = [(number, Event("change", float(number))) for number in range(1, 101)]
    written = set()
    for first in range(100):
        assert kept.keep(events[first:])
        held = [event.at for event in KeptEvents(path).load(1000)]
        assert held[-len(events[first:]) :] == [event.at for _, event in events[first:]]  # and perhaps some before them
        written.add(len(held))
    assert len(written) < 10
    assert kept.keep(events[-2:], only=True)
    assert len(path.read_text().splitlines()) == 2
    assert kept.keep([])
    assert not path.exists()


def test_a_file_of_events_that_is_damaged_loses_only_what_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"event":"enter","at":1.0,"label":"nut"}\n{"event":"lea\n[1]\n{"at":2}\n')
    assert KeptEvents(path).load(10) == [Event("enter", 1.0, label="nut")]
    assert len(caplog.messages) == 3


def test_events_that_cannot_be_kept_on_disk_are_kept_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Away(opened=False)
    with QueuedSink(sink, retry_s=0.01, kept_events=KeptEvents(tmp_path / "missing" / "events.jsonl")) as queued:
        queued.put(CHANGE)
        queued.put(CHANGE)
        until(lambda: "events are not kept on disk" in caplog.text)
        sink.gate.set()
    assert queued.summary() == {"delivered": 2, "dropped": 0, "failed": 0}


def test_a_queue_that_waits_loses_no_result() -> None:
    """For files, where every frame matters: the stream takes the time that the sink takes."""
    sink = Recorder(opened=False)
    with QueuedSink(sink, results=3, wait=True) as queued:
        threading.Timer(0.05, sink.gate.set).start()
        for number in range(50):
            queued.put(sample_result(number))
    assert queued.summary() == {"delivered": 50, "dropped": 0, "failed": 0}


@pytest.mark.parametrize("wanted", [True, False])
def test_only_a_few_frames_are_held_for_a_sink_that_is_behind(wanted: bool) -> None:
    sink = Recorder(opened=False, pictures=wanted)
    with QueuedSink(sink) as queued:
        queued.put(CHANGE)
        assert sink.entered.wait(PATIENCE_S)
        for number in range(100):
            queued.put(sample_result(number, picture=sample_frame()))
        sink.gate.set()
        until(lambda: len(sink.items) == 101)
        queued.put(sample_result(100, picture=sample_frame()))  # it is no longer behind
    pictures = [isinstance(item, Result) and item.picture is not None for item in sink.items]
    assert len(pictures) == 102
    assert sum(pictures) == (PICTURES + 1 if wanted else 0)


def test_output_that_cannot_be_written_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=full))
        with QueuedSink(JsonLines(JsonLinesSettings(), Stream()), wait=True) as queued:
            queued.put(sample_result())
            until(lambda: queued.failed == 1)
            with pytest.raises(OSError, match="No space left"):
                queued.put(sample_result())


def test_all_sinks_receive_everything_and_are_closed_together() -> None:
    recorders = [Recorder(), Recorder()]
    with Sinks([QueuedSink(recorder) for recorder in recorders]) as sinks:
        sinks.put(sample_result())
        sinks.put(CHANGE)
    assert [len(recorder.items) for recorder in recorders] == [2, 2]
    assert sinks.summary() == {"recorder": {"delivered": 2, "dropped": 0, "failed": 0}}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("linnet-sink")]
