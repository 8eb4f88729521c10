"""MQTT: the label as a retained state, events, pictures and availability; and Home Assistant's device discovery.
Internal.

MQTT has one last will for each connection. Each camera therefore has a connection, and its own availability.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial

import msgspec

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import SinkAway, Stream
from linnet_runtime.sinks.home_assistant import CLASSIFY, SNAPSHOT, discovery
from linnet_runtime.sinks.mqtt_connection import Connection, parse_broker
from linnet_runtime.sinks.mqtt_topics import Topics
from linnet_runtime.sinks.pictures import jpeg
from linnet_runtime.sinks.settings import MqttSettings
from linnet_runtime.sources.api import Frame

logger = logging.getLogger("linnet")

_LONGEST_SIDE = 1280  # pixels of a published picture


class Mqtt:
    """Publishes to a broker. What the broker has acknowledged counts as delivered."""

    name, pictures = "mqtt", True

    def __init__(self, settings: MqttSettings, stream: Stream) -> None:
        """Connects for each camera.

        Raises:
            SinkError: the address is wrong, the broker refuses the login, or its certificate is not trusted.
        """
        broker = parse_broker(settings.url, settings.ca_file)
        self._stream, self._topics = stream, Topics(settings.id, stream.cameras)
        self._interval_s = settings.interval_s
        self._published: dict[str, tuple[str, float]] = {}
        self._offline: set[str] = set()
        self._wanted: set[str] = set()  # cameras whose next frame is to be published
        self._discovery = f"{settings.discovery_prefix}/device/{self._topics.id}/config" if settings.discovery else None
        self._connections: dict[str, Connection] = {}
        try:
            for camera in stream.cameras:
                self._connections[camera] = Connection(
                    broker,
                    f"linnet-{self._topics.id}",
                    will=self._topics.availability(camera),
                    commands=self._topics.command(camera),
                    on_connected=partial(self._announce, camera),
                    on_command=partial(self._command, camera),
                )
        except BaseException:  # a signal too
            self.close()
            raise
        if not all(connection.connected for connection in self._connections.values()):
            logger.warning("%s does not answer: events are kept until it does", settings.url)

    def write(self, item: Result | Event) -> bool:
        """Publishes an event, and a result where its label is new or the last one is old enough."""
        return self._write_event(item) if isinstance(item, Event) else self._write_result(item)

    def finish(self, seconds: float) -> None:
        """What the broker does not acknowledge within that time, all together, counts as not delivered."""
        for connection in self._connections.values():
            connection.finish(seconds)

    def close(self) -> None:
        """Says ``offline`` for each camera, and disconnects."""
        for camera, connection in self._connections.items():
            with suppress(SinkAway):
                connection.publish(self._topics.availability(camera), "offline", retain=True)
            connection.disconnect()
        for connection in self._connections.values():
            connection.join()
        self._connections = {}

    def _write_result(self, result: Result) -> bool:
        connection = self._connections[result.camera]
        if result.camera in self._wanted and result.picture is not None:
            self._publish_picture(connection, result.camera, result.picture)
            self._wanted.discard(result.camera)
        topic = self._topics.label(result.camera, result.region)
        label, published = self._published.get(topic, (None, 0.0))
        now = time.monotonic()
        if result.label == label and now - published < self._interval_s:
            return False
        connection.publish(topic, msgspec.json.encode(result.to_json()), retain=True)
        self._published[topic] = (result.label, now)
        return True

    def _write_event(self, event: Event) -> bool:
        """An event of no camera, such as that of a device, is one of the first camera."""
        camera = event.camera if event.camera in self._connections else next(iter(self._connections))
        connection = self._connections[camera]
        if event.kind in ("offline", "online"):
            (self._offline.add if event.kind == "offline" else self._offline.discard)(camera)
            connection.publish(self._topics.availability(camera), self._availability(camera), retain=True)
        if event.frame is not None:
            self._publish_picture(connection, camera, event.frame)
        connection.publish(self._topics.event(camera), msgspec.json.encode(event.to_json()), retain=False)
        return True

    def _publish_picture(self, connection: Connection, camera: str, frame: Frame) -> None:
        connection.publish(self._topics.image(camera), jpeg(frame, longest_side=_LONGEST_SIDE), retain=True)

    def _availability(self, camera: str) -> str:
        return "offline" if camera in self._offline else "online"

    def _announce(self, camera: str, connection: Connection) -> None:
        """At each connection: a broker may have restarted without what it retained."""
        if self._discovery is not None and camera == next(iter(self._stream.cameras)):
            connection.send(self._discovery, msgspec.json.encode(discovery(self._stream, self._topics)))
        connection.send(self._topics.availability(camera), self._availability(camera))
        self._published = {}  # the next results are published at once

    def _command(self, camera: str, payload: bytes) -> None:
        if payload == CLASSIFY.encode():
            self._stream.request(camera)
        elif payload == SNAPSHOT.encode():
            self._wanted.add(camera)
        else:
            logger.warning("MQTT: no command: %r", payload[:40])
