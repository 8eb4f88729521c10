"""A client that loads a server: one request again and again, in one thread and with sockets alone, so that on the
server's machine it takes little of the processor.
"""

from __future__ import annotations

import random
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

_PATIENCE_S = 30.0


@dataclass
class Answers:
    """What came of the requests."""

    seconds: float
    """How long requests were sent."""
    milliseconds: dict[int, list[float]] = field(default_factory=dict)
    """By status, from the time at which a request was due to the end of its answer."""
    errors: int = 0
    """Requests whose connection ended, or that were not answered in time."""
    latest_ms: float = 0.0
    """How late the client itself was with a request, at most."""

    def count(self, status: int) -> int:
        """The answers with that status."""
        return len(self.milliseconds.get(status, ()))

    def percentile(self, percent: float) -> float:
        """Milliseconds of the answers with status 200."""
        return float(np.percentile(self.milliseconds[200], percent))


class _Connection:
    """A connection that is kept, and the answer that comes on it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, _PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._received = b""

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """The answer's status once all of it is there. Raises OSError where the connection has ended before."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server has closed the connection")
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not ended or len(body) < int(length):
            return None
        self._received = b""
        return int(head[9:12])


def load(
    address: tuple[str, int], request: bytes, *, seconds: float, clients: int, rate: float | None = None
) -> Answers:
    """Sends a request over and over.

    Args:
        address: the server's host and port.
        request: all its bytes.
        seconds: how long.
        clients: connections. Without a rate each sends again as soon as it is answered.
        rate: requests a second, at random times (a Poisson process), whatever the server does. A request whose time has
            come waits for a free connection, and that counts.
    """
    answers, times = Answers(seconds), random.Random(0)  # noqa: S311
    idle = deque(_Connection(address) for _ in range(clients))
    due = time.perf_counter()
    end = due + seconds
    with selectors.SelectSelector() as busy:  # epoll waits for whole milliseconds
        while (now := time.perf_counter()) < end or busy.get_map():
            while idle and due <= now < end:
                connection = idle.popleft()
                connection.send(request, now if rate is None else due)
                busy.register(connection.socket, selectors.EVENT_READ, connection)
                answers.latest_ms = max(answers.latest_ms, (now - connection.due) * 1e3)
                due = now if rate is None else due + times.expovariate(rate)
            if now >= end + _PATIENCE_S:
                answers.errors += len(busy.get_map())
                break
            wake = due if idle and due < end else end if now < end else end + _PATIENCE_S
            for key, _ in busy.select(max(0.0, wake - now)):
                connection = key.data
                try:
                    status = connection.receive()
                except OSError:
                    answers.errors += 1
                    busy.unregister(connection.socket)
                    connection.socket.close()
                    idle.append(_Connection(address))
                    continue
                if status is not None:
                    busy.unregister(connection.socket)
                    idle.append(connection)
                    taken_ms = (time.perf_counter() - connection.due) * 1e3
                    answers.milliseconds.setdefault(status, []).append(taken_ms)
        for connection in (*idle, *(key.data for key in busy.get_map().values())):
            connection.socket.close()
    return answers
