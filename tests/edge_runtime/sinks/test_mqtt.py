"""The MQTT sink with a real broker: what a subscriber sees."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.sinks.broker import Broker, Subscriber, needs_broker, until
from edge_runtime.sinks.publishing import ONE_CAMERA, event, settings_for
from linnet_runtime.results import Event
from linnet_runtime.sinks import QueuedSink, SinkError, Stream
from linnet_runtime.sinks.mqtt import Mqtt
from linnet_runtime.sinks.mqtt_topics import Topics
from linnet_runtime.testing.sink_conformance import LABELS, SinkConformance, sample_frame, sample_result, sample_stream

pytestmark = needs_broker


class TestMqtt(SinkConformance):
    @pytest.fixture(autouse=True)
    def _broker(self, broker: Broker) -> None:
        self.settings = {"broker": broker}

    def open_sink(self, folder: Path) -> Mqtt:
        return Mqtt(settings_for(self.settings["broker"]), sample_stream())


def test_a_subscriber_that_comes_later_has_the_state_the_availability_and_the_discovery(broker: Broker) -> None:
    """All three are retained; an event is not."""
    with QueuedSink(Mqtt(settings_for(broker), ONE_CAMERA)) as sink:
        sink.put(sample_result(7, "nut", 0.875, camera=""))
        sink.put(event(1))
        until(lambda: sink.delivered == 2)
        with Subscriber(broker.port) as later:
            (state,) = later.wait_for("linnet/shed/camera/label")
            assert later.wait_for("linnet/shed/camera/availability") == [b"online"]
            later.wait_for("homeassistant/device/shed/config")
            assert all(message.retained for message in later.messages)
            assert later.of("linnet/shed/camera/event") == []
    assert json.loads(state)["label"] == "nut"
    assert json.loads(state)["probability"] == 0.875


def test_a_subscriber_gets_events_in_order_with_a_picture(broker: Broker) -> None:
    frame = sample_frame(height=1400, width=2000)
    with Subscriber(broker.port) as subscriber, QueuedSink(Mqtt(settings_for(broker), ONE_CAMERA)) as sink:
        subscriber.wait_for("linnet/shed/camera/availability")
        sink.put(event(1))
        sink.put(Event("enter", 2.0, label="nut", frame=frame))
        events = subscriber.wait_for("linnet/shed/camera/event", 2)
        (picture,) = subscriber.wait_for("linnet/shed/camera/image")
    assert [json.loads(line)["event"] for line in events] == ["change", "enter"]
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (896, 1280, 3)


def test_a_new_label_is_published_at_once_and_the_same_one_after_the_interval(broker: Broker) -> None:
    with Subscriber(broker.port) as subscriber:
        with QueuedSink(Mqtt(settings_for(broker, interval_s=3600), ONE_CAMERA)) as sink:
            for number, label in enumerate(["nut", "nut", "nut", "bolt", "bolt", "nut"]):
                sink.put(sample_result(number, label, camera=""))
        states = [json.loads(line) for line in subscriber.wait_for("linnet/shed/camera/label", 3)]
    assert [(state["label"], state["frame"]) for state in states] == [("nut", 0), ("bolt", 3), ("nut", 5)]
    assert sink.summary() == {"delivered": 3, "dropped": 0, "failed": 0, "skipped": 3}


def test_with_no_interval_every_result_is_published(broker: Broker) -> None:
    with Subscriber(broker.port) as subscriber:
        with QueuedSink(Mqtt(settings_for(broker, interval_s=0), ONE_CAMERA)) as sink:
            for number in range(20):
                sink.put(sample_result(number, camera=""))
        states = subscriber.wait_for("linnet/shed/camera/label", 20)
    assert [json.loads(state)["frame"] for state in states] == list(range(20))


def test_availability_follows_the_camera_and_ends_offline(broker: Broker) -> None:
    topic = "linnet/shed/camera/availability"
    with Subscriber(broker.port) as subscriber:
        with QueuedSink(Mqtt(settings_for(broker), ONE_CAMERA)) as sink:
            subscriber.wait_for(topic)
            sink.put(Event("offline", 1.0, reason="no frame"))
            sink.put(Event("online", 2.0))
        assert subscriber.wait_for(topic, 4) == [b"online", b"offline", b"online", b"offline"]


def test_several_cameras_and_regions_have_topics_of_their_own(broker: Broker) -> None:
    with Subscriber(broker.port) as subscriber, QueuedSink(Mqtt(settings_for(broker), sample_stream())) as sink:
        sink.put(sample_result(1, "nut", camera="belt"))
        sink.put(sample_result(1, "bolt", camera="belt", region="left"))
        sink.put(sample_result(1, "washer", camera="door"))
        labels = {
            topic: json.loads(subscriber.wait_for(f"linnet/shed/{topic}")[0])["label"]
            for topic in ("belt/label", "belt/left/label", "door/label")
        }
    assert labels == {"belt/label": "nut", "belt/left/label": "bolt", "door/label": "washer"}


@pytest.mark.parametrize(
    "cameras",
    [
        {"a b": ("",), "a_b": ("",)},
        {"a b": ("left",), "a_b": ("right",)},  # their events, pictures and commands
        {"gate": ("left",), "gate_left": ("",)},  # the names of their entities
        {"": ("left",), "camera": ("right",)},
        {"gate": ("a b", "a_b")},
    ],
)
def test_cameras_and_regions_with_one_topic_or_entity_are_refused(cameras: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(SinkError, match="different topics"):
        Topics("shed", cameras)


def test_buttons_ask_for_a_frame_and_for_a_picture(broker: Broker) -> None:
    asked: list[str] = []
    stream = Stream(labels=LABELS, request=asked.append)
    with Subscriber(broker.port) as subscriber, QueuedSink(Mqtt(settings_for(broker), stream)) as sink:
        broker.publish("linnet/shed/camera/command", "classify")
        until(lambda: asked == [""])
        broker.publish("linnet/shed/camera/command", "format c:")  # is left alone
        broker.publish("linnet/shed/camera/command", "snapshot")

        def picture_came() -> bool:
            sink.put(sample_result(1, camera="", picture=sample_frame()))
            return bool(subscriber.of("linnet/shed/camera/image"))

        until(picture_came)
