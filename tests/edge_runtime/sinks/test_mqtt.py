"""The MQTT sink with a real broker: what a subscriber sees, and what is left of it when the broker goes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_runtime.sinks.broker import Broker, Subscriber, free_port, needs_broker, until
from linnet_runtime.results import Event
from linnet_runtime.sinks import QueuedSink, SinkError, SinkSettings, Stream, open_sinks
from linnet_runtime.sinks.mqtt import Mqtt
from linnet_runtime.sinks.mqtt_connection import parse_broker
from linnet_runtime.sinks.mqtt_topics import Topics
from linnet_runtime.sinks.settings import MqttSettings
from linnet_runtime.testing.sink_conformance import (
    LABELS,
    SinkConformance,
    sample_frame,
    sample_result,
    sample_stream,
)

pytestmark = needs_broker

ONE_CAMERA = Stream(labels=LABELS, bundle="parts")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as broker:
        yield broker


def settings_for(broker: Broker, **settings: Any) -> MqttSettings:
    return MqttSettings(url=broker.url, id="shed", **settings)


def event(number: int) -> Event:
    return Event("change", float(number), "", label="nut", previous="bolt")


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


def test_two_cameras_with_one_topic_are_refused() -> None:
    with pytest.raises(SinkError, match="different topics"):
        Topics("shed", {"a b": ("",), "a_b": ("",)})


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


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    """A broker that wants the user ``linnet`` with the password ``right``."""
    passwords = tmp_path / "passwords"
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("no mosquitto_passwd: apt install mosquitto")
    subprocess.run([tool, "-b", "-c", str(passwords), "linnet", "right"], check=True, capture_output=True)
    with Broker(tmp_path, settings=f"allow_anonymous false\npassword_file {passwords}") as broker:
        yield broker


@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("linnet@", "wrong", "for the user linnet with a password"),
        ("linnet@", None, "for the user linnet without a password"),
        ("", None, "for no user without a password"),
    ],
)
def test_a_broker_that_refuses_the_password_is_one_line(
    guarded: Broker, user: str, password: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if password:
        monkeypatch.setenv("LINNET_MQTT_PASSWORD", password)
    before = set(threading.enumerate())
    with pytest.raises(SinkError) as raised:
        Mqtt(MqttSettings(url=f"mqtt://{user}127.0.0.1:{guarded.port}"), ONE_CAMERA)
    assert words in str(raised.value)
    assert "LINNET_MQTT_PASSWORD" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "wrong" not in str(raised.value)
    assert set(threading.enumerate()) <= before


def test_the_password_of_the_environment_logs_in(guarded: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINNET_MQTT_PASSWORD", "right")
    settings = MqttSettings(url=f"mqtt://linnet@127.0.0.1:{guarded.port}", id="shed")
    with QueuedSink(Mqtt(settings, ONE_CAMERA)) as sink:
        sink.put(event(1))
        until(lambda: sink.delivered == 1)


def test_a_broker_that_refuses_the_password_later_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Broker(tmp_path) as broker:
        sink = QueuedSink(Mqtt(settings_for(broker), ONE_CAMERA))
        broker.kill()
        guarded = Broker(tmp_path, settings="allow_anonymous false", port=broker.port)
        with guarded:
            for number in range(3):
                sink.put(sample_result(number, f"label {number}", camera=""))
            until(lambda: sink.failed == 3)
        sink.finish(0.1)
        sink.close()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate for ``localhost`` that signs itself."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("no openssl")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem"))
    command = [tool, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path


# paho-mqtt leaves the socket of a failed handshake to Python's memory management.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_with_a_trusted_certificate_and_not_with_another(certificates: Path) -> None:
    trusted, key = certificates / "certificate.pem", certificates / "key.pem"
    settings = f"allow_anonymous true\ncertfile {trusted}\nkeyfile {key}"
    with Broker(certificates, settings=settings) as broker:
        url = f"mqtts://localhost:{broker.port}"
        with QueuedSink(Mqtt(MqttSettings(url=url, id="shed", ca_file=str(trusted)), ONE_CAMERA)) as sink:
            sink.put(event(1))
            until(lambda: sink.delivered == 1)
        with pytest.raises(SinkError, match="trusted certificate"):
            Mqtt(MqttSettings(url=url), ONE_CAMERA)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://broker", "expected mqtt://"),
        ("mqtt://", "expected mqtt://"),
        ("mqtt://broker:port", "expected mqtt://"),
        ("mqtt://broker/topic", "expected mqtt://"),
        ("mqtt://me:secret@broker", "LINNET_MQTT_PASSWORD"),
    ],
)
def test_an_address_that_is_none_is_one_line_without_its_password(url: str, words: str) -> None:
    with pytest.raises(SinkError, match=words) as raised:
        parse_broker(url)
    assert "secret" not in str(raised.value)


def test_an_address_says_the_port_and_the_user() -> None:
    broker = parse_broker("mqtts://me@broker.local")
    assert (broker.host, broker.port, broker.user, broker.tls is not None) == ("broker.local", 8883, "me", True)
    assert parse_broker("mqtt://[::1]:99").host == "::1"
    assert os.environ.get("LINNET_MQTT_PASSWORD") == broker.password
