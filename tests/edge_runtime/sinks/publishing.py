"""What the tests of the MQTT sink publish."""

from __future__ import annotations

from typing import Any

from edge_runtime.sinks.broker import Broker
from linnet_runtime.results import Event
from linnet_runtime.sinks import Stream
from linnet_runtime.sinks.settings import MqttSettings
from linnet_runtime.testing.sink_conformance import LABELS

ONE_CAMERA = Stream(labels=LABELS, bundle="parts")


def settings_for(broker: Broker, **settings: Any) -> MqttSettings:
    return MqttSettings(url=broker.url, id="shed", **settings)


def event(number: int) -> Event:
    return Event("change", float(number), "", label="nut", previous="bolt")
