"""The MQTT sink when its broker is away or its process is killed: what is left, and what comes later."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.sinks.broker import Broker, Subscriber, free_port, needs_broker, until
from edge_runtime.sinks.publishing import ONE_CAMERA, event, settings_for
from linnet_runtime.sinks import QueuedSink, SinkSettings, open_sinks
from linnet_runtime.sinks.mqtt import Mqtt
from linnet_runtime.sinks.settings import MqttSettings
from linnet_runtime.testing.sink_conformance import sample_result

pytestmark = needs_broker
_PUBLISH_UNTIL_KILLED = """
import sys, threading
from linnet_runtime.sinks.mqtt import Mqtt
from linnet_runtime.sinks.settings import MqttSettings
from linnet_runtime.testing.sink_conformance import sample_stream
sink = Mqtt(MqttSettings(url=sys.argv[1], id="shed"), sample_stream())
threading.Event().wait()
"""


def test_a_process_that_is_killed_has_every_camera_offline_by_the_last_will(broker: Broker) -> None:
    topics = [f"linnet/shed/{camera}/availability" for camera in ("belt", "door")]
    with Subscriber(broker.port, "linnet/shed/+/availability") as subscriber:
        process = subprocess.Popen([sys.executable, "-c", _PUBLISH_UNTIL_KILLED, broker.url])
        for topic in topics:
            assert subscriber.wait_for(topic) == [b"online"]
        process.kill()
        process.wait()
        for topic in topics:
            assert subscriber.wait_for(topic, 2) == [b"online", b"offline"]


def test_a_broker_that_is_killed_and_comes_back_loses_no_event(broker: Broker, tmp_path: Path) -> None:
    """Every event is delivered, in order; every result is delivered or counted."""
    written = 0
    with QueuedSink(Mqtt(settings_for(broker, interval_s=0), ONE_CAMERA)) as sink:
        with Subscriber(broker.port, "linnet/shed/camera/event") as before:
            for number in range(5):
                sink.put(event(number))
                sink.put(sample_result(number, camera=""))
                written += 2
            seen = [json.loads(line)["at"] for line in before.wait_for("linnet/shed/camera/event", 5)]
        broker.kill()
        for number in range(5, 40):
            sink.put(event(number))
            sink.put(sample_result(number, camera=""))
            written += 2
        broker.start()
        with Subscriber(broker.port, "linnet/shed/camera/event") as after:
            until(lambda: sink.delivered + sink.failed + sink.dropped == written)
            sink.put(event(40))  # shows that the subscriber has all that came before
            written += 1
            until(lambda: any(json.loads(line)["at"] == 40 for line in after.of("linnet/shed/camera/event")))
            seen += [json.loads(line)["at"] for line in after.of("linnet/shed/camera/event")]
    assert sink.delivered + sink.failed + sink.dropped == written
    assert sink.dropped == 0
    missed = sorted(set(range(41)) - {int(at) for at in seen})
    # The new subscriber may come a moment after the sink: what the broker had acknowledged before is not its to see.
    assert missed == list(range(5, 5 + len(missed)))


def test_a_broker_that_is_not_there_yet_is_awaited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A camera may start before the broker does, after a power cut."""
    port = free_port()
    with caplog.at_level(logging.WARNING, "linnet"):
        sink = QueuedSink(Mqtt(MqttSettings(url=f"mqtt://127.0.0.1:{port}", id="shed"), ONE_CAMERA))
    assert "does not answer: events are kept until it does" in caplog.messages[0]
    with sink:
        sink.put(event(1))
        with Broker(tmp_path, port=port):
            until(lambda: sink.delivered == 1)


def test_events_of_a_run_without_a_broker_are_delivered_by_the_next_run(tmp_path: Path) -> None:
    port, kept = free_port(), tmp_path / "events.jsonl"
    tables = SinkSettings(mqtt=MqttSettings(url=f"mqtt://127.0.0.1:{port}", id="shed", keep_events=str(kept)))
    with open_sinks(tables, ONE_CAMERA) as sinks:
        sinks.put(event(1))
        sinks.put(event(2))
        until(lambda: kept.exists() and len(kept.read_text().splitlines()) == 2)
    assert sinks.summary() == {"mqtt": {"delivered": 0, "dropped": 0, "failed": 0, "kept": 2}}
    with (
        Broker(tmp_path, port=port),
        Subscriber(port, "linnet/shed/camera/event") as subscriber,
        open_sinks(tables, ONE_CAMERA) as sinks,
    ):
        until(lambda: sinks.summary()["mqtt"]["delivered"] == 2)
        events = subscriber.wait_for("linnet/shed/camera/event", 1)
    assert json.loads(events[-1])["at"] == 2
    assert not kept.exists()
