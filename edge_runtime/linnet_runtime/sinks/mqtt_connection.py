"""A connection to an MQTT broker with a last will. It reconnects by itself. Internal."""

from __future__ import annotations

import math
import os
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from linnet_devices.api import Setting
from linnet_runtime.sinks.api import SinkAway, SinkError

PASSWORD = "LINNET_MQTT_PASSWORD"  # noqa: S105  # the variable's name
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_CONNECT_S = 5.0
_ACKNOWLEDGE_S = 5.0
_KEEP_ALIVE_S = 15  # the broker publishes the will after one and a half of it
_LONGEST_BACKOFF_S = 8
_REFUSALS = ("Bad user name or password", "Not authorized")


@dataclass(frozen=True)
class Broker:
    """Where a broker is, and how to log in."""

    url: str
    """As the user wrote it; it has no password."""
    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None


def parse_broker(url: str, ca_file: str = "") -> Broker:
    """A broker's address, ``mqtt[s]://[user@]HOST[:PORT]``, with the password from the environment.

    Raises:
        SinkError: another scheme, no host, a password in the address, or certificates that cannot be read.
    """
    form = "mqtt://[user@]HOST[:1883] or mqtts://[user@]HOST[:8883]"
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:  # UnicodeError, of a host's name, is one
        raise SinkError(Setting("mqtt"), got=f"{url}: {error}", expected=form) from error
    if parts.password is not None:
        shown = url.replace(f":{parts.password}@", ":***@")
        raise SinkError(Setting("mqtt"), got=shown, expected=form, fix=f"set {PASSWORD} in the environment")
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
        raise SinkError(Setting("mqtt"), got=url, expected=form)
    tls = None
    if parts.scheme == "mqtts":
        try:
            tls = ssl.create_default_context(cafile=ca_file or None)
        except OSError as error:
            raise SinkError(f"ca_file {ca_file}", got=str(error), expected="certificates in PEM form") from error
    return Broker(url, parts.hostname, port or _PORTS[parts.scheme], parts.username, os.environ.get(PASSWORD), tls)


class Connection:
    """A connected client. ``publish`` is called from one thread; the callbacks run in the client's thread."""

    def __init__(
        self,
        broker: Broker,
        name: str,
        *,
        will: str,
        commands: str,
        on_connected: Callable[[Connection], None],
        on_command: Callable[[bytes], None],
    ) -> None:
        """Connects. A broker that does not answer now is tried again and again.

        Args:
            broker: the broker's address.
            name: part of the client's identifier.
            will: the topic on which the broker says ``offline`` where this connection is lost.
            commands: a topic to subscribe to.
            on_connected: is called after each connection, and may call ``send``.
            on_command: is called with each message on ``commands``.

        Raises:
            SinkError: the broker refuses the login, or its certificate is not trusted.
        """
        self._broker, self._commands = broker, commands
        self._on_connected, self._on_command = on_connected, on_command
        self._changed = threading.Condition()
        self._connected = self._refused = False
        self._session = 0  # connections so far
        self._acknowledged: set[int] = set()
        self._ends_at = math.inf  # on the monotonic clock
        self._reason = "no answer yet"
        client = self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"{name}-{secrets.token_hex(3)}")
        client.connect_timeout = _CONNECT_S
        client.reconnect_delay_set(1, _LONGEST_BACKOFF_S)
        client.will_set(will, "offline", qos=1, retain=True)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.on_connect, client.on_disconnect = self._connect_answered, self._lost
        client.on_pre_connect, client.on_publish, client.on_message = self._connecting, self._published, self._received
        self._start()

    @property
    def connected(self) -> bool:
        """Whether the broker answers now."""
        return self._connected

    def publish(self, topic: str, payload: str | bytes, *, retain: bool) -> None:
        """Publishes at QoS 1 and waits for the broker's acknowledgement.

        Raises:
            SinkAway: there is no connection, or no acknowledgement. The message may have arrived all the same.
        """
        with self._changed:
            self._acknowledged.clear()
            session = self._session
            if not self._connected:
                raise SinkAway(self._broker.url, got=self._reason)
        number = self._client.publish(topic, payload, qos=1, retain=retain).mid
        with self._changed:
            give_up = time.monotonic() + _ACKNOWLEDGE_S
            while not (number in self._acknowledged or self._session != session or not self._connected):
                left_s = min(give_up, self._ends_at) - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            if number not in self._acknowledged:
                raise SinkAway(self._broker.url, got=self._reason if not self._connected else "no acknowledgement")

    def send(self, topic: str, payload: str | bytes) -> None:
        """Publishes a retained message without waiting. For ``on_connected``: the same happens at each connection."""
        self._client.publish(topic, payload, qos=1, retain=True)

    def finish(self, seconds: float) -> None:
        """No acknowledgement is waited for any longer than that. Any thread may call it."""
        with self._changed:
            self._ends_at = time.monotonic() + seconds
            self._changed.notify_all()

    def disconnect(self) -> None:
        """Ends the connection, without the will. ``join`` waits for the thread."""
        self._client.disconnect()

    def join(self) -> None:
        """Ends the client's thread."""
        self._client.loop_stop()

    def _start(self) -> None:
        broker = self._broker
        try:
            self._client.connect(broker.host, broker.port, _KEEP_ALIVE_S)
        except ssl.SSLError as error:
            fix = "name the certificates of its authority as ca_file"
            raise SinkError(
                broker.url, got=error.reason or str(error), expected="a trusted certificate", fix=fix
            ) from error
        except OSError as error:  # the broker may start later than the camera
            self._reason = error.strerror or str(error)
            self._client.connect_async(broker.host, broker.port, _KEEP_ALIVE_S)
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._connected or self._refused or self._reason != "no answer yet", _CONNECT_S
            )
            refused = self._refused
        if refused:
            self.disconnect()
            self.join()
            user = "no user" if broker.user is None else f"the user {broker.user}"
            secret = "with a password" if broker.password is not None else "without a password"
            got = f"{self._reason}, for {user} {secret}"
            raise SinkError(broker.url, got=got, expected="a login", fix=f"mqtt://USER@HOST, and set {PASSWORD}")

    # The callbacks of the client, in its thread.

    def _connecting(self, client: Client, _userdata: Any) -> None:
        client.drop_out_messages()  # what was not acknowledged is published again by its sender

    def _connect_answered(
        self, client: Client, _userdata: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            with self._changed:
                self._reason = f"the broker refuses the connection: {code.getName()}"
                self._refused = code.getName() in _REFUSALS
                self._changed.notify_all()
            return
        client.subscribe(self._commands, qos=1)
        self._on_connected(self)
        with self._changed:
            self._connected, self._refused = True, False
            self._session += 1
            self._changed.notify_all()

    def _lost(
        self, _client: Client, _userdata: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        with self._changed:
            if self._connected:
                self._reason = f"the connection is lost: {code.getName()}"
            self._connected = False
            self._changed.notify_all()

    def _published(
        self, _client: Client, _userdata: Any, number: int, _code: ReasonCode, _properties: Properties
    ) -> None:
        with self._changed:
            self._acknowledged.add(number)
            self._changed.notify_all()

    def _received(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        self._on_command(bytes(message.payload))
