"""The address of an MQTT broker, its password and its certificate."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.sinks.broker import Broker, needs_broker, until
from edge_runtime.sinks.publishing import ONE_CAMERA, event, settings_for
from linnet_runtime.sinks import QueuedSink, SinkError
from linnet_runtime.sinks.mqtt import Mqtt
from linnet_runtime.sinks.mqtt_connection import parse_broker
from linnet_runtime.sinks.settings import MqttSettings
from linnet_runtime.testing.sink_conformance import sample_result

pytestmark = needs_broker


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
        ("mqtt://broker..example", "expected mqtt://"),
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
