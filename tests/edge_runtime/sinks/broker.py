"""A real MQTT broker on the loopback interface, and a real client: mosquitto and mosquitto_sub."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pytest

from program import PATIENCE_S

_MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
_SUBSCRIBE, _PUBLISH = shutil.which("mosquitto_sub"), shutil.which("mosquitto_pub")

needs_broker = pytest.mark.skipif(
    not (_MOSQUITTO and _SUBSCRIBE and _PUBLISH), reason="no mosquitto: apt install mosquitto mosquitto-clients"
)


class Message(NamedTuple):
    topic: str
    retained: bool
    """Whether the broker had kept it before the client subscribed."""
    payload: bytes


class Broker:
    """mosquitto on a free port; ``kill`` and ``start`` again at will."""

    def __init__(self, folder: Path, *, settings: str = "allow_anonymous true", port: int | None = None) -> None:
        self.port = port or free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nuser root\npersistence false\n{settings}\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(_MOSQUITTO), "-c", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def publish(self, topic: str, payload: str) -> None:
        command = [str(_PUBLISH), "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "-m", payload, "-q", "1"]
        subprocess.run(command, check=True)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Subscriber:
    """mosquitto_sub: its messages so far are in ``messages``."""

    def __init__(self, port: int, topic: str = "#") -> None:
        """Returns once the broker has the subscription: a message that it retains for this client has arrived."""
        marker = f"subscribed/{uuid.uuid4().hex}"
        address = ["-h", "127.0.0.1", "-p", str(port), "-q", "1"]
        subprocess.run([str(_PUBLISH), *address, "-r", "-t", marker, "-m", "now"], check=True)
        # %x: the payload in hexadecimal, because pictures are no text.
        command = [str(_SUBSCRIBE), *address, "-t", marker, "-t", topic, "-F", r"%t\t%r\t%x"]
        self.messages: list[Message] = []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.wait_for(marker)

    def of(self, topic: str) -> list[bytes]:
        return [message.payload for message in list(self.messages) if message.topic == topic]

    def wait_for(self, topic: str, count: int = 1) -> list[bytes]:
        until(lambda: len(self.of(topic)) >= count)
        return self.of(topic)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            topic, retained, payload = line.rstrip("\n").split("\t")
            self.messages.append(Message(topic, retained == "1", bytes.fromhex(payload)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], bool]) -> None:
    """Waits until it is so; fails where that never happens."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")
