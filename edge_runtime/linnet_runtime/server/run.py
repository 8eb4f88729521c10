"""Runs the server: its socket, TLS and token, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from linnet_devices.api import LinnetError, Setting
from linnet_runtime.files.folders import read_regular
from linnet_runtime.server.settings import ServeSettings
from linnet_runtime.signals import Ending

TOKEN_VARIABLE = "LINNET_SERVE_TOKEN"  # noqa: S105  # the variable's name
_MOST_TOKEN_BYTES = 4096
_MOST_CONNECTIONS = 128  # more of them get 503
_MOST_SOCKETS = 2 * _MOST_CONNECTIONS  # more of them are closed: file descriptors are for cameras and files too
_HEADERS_S = 10.0
_ENDING_S = 5


class _Protocol(H11Protocol):
    """Closes a connection that does not send the whole head of a request in time, whether it is its first one or a
    later one: Uvicorn itself waits for ever for a client that sends a byte now and then.
    """

    _head_is_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._limit_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._head_is_late is not None:
            self._head_is_late.cancel()

    def _limit_head(self) -> None:
        """Has the connection closed after a while if it is between two requests, and not if it is within one."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self._head_is_late is not None:
                self._head_is_late.cancel()
            self._head_is_late = None
        elif self._head_is_late is None:
            self._head_is_late = self.loop.call_later(_HEADERS_S, self.transport.close)


class _Listening(socket.socket):
    """A listening socket that closes a connection at once where too many are open. asyncio accepts them without a
    limit, and those whose TLS handshake has not ended are unknown to Uvicorn.
    """

    def __init__(self, family: socket.AddressFamily) -> None:
        # With the protocol stated, asyncio sets TCP_NODELAY: an answer then does not wait 40 ms for an acknowledgement.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._accepted: WeakSet[socket.socket] = WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises ConnectionAbortedError where the connection was closed; asyncio goes on then."""
        connection, address = super().accept()
        if sum(before.fileno() >= 0 for before in self._accepted) >= _MOST_SOCKETS:
            connection.close()
            raise ConnectionAbortedError("too many connections")
        self._accepted.add(connection)
        return connection, address


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its own signal handlers, which raise the signal again at the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _NoClientsFaults(logging.Filter):
    """Leaves out what Uvicorn reports of clients: one that sends no HTTP, and one that still waits at the end."""

    def filter(self, record: logging.LogRecord) -> bool:
        cancelled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
        return record.levelno >= logging.ERROR and not cancelled and not str(record.msg).startswith("Cancel ")


_NO_CLIENTS_FAULTS = _NoClientsFaults()


def listen(settings: ServeSettings) -> socket.socket:
    """The listening socket. Raises LinnetError where the address cannot be used."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    where = f"[{settings.host}]" if family == socket.AF_INET6 else settings.host
    listening = _Listening(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(_MOST_CONNECTIONS)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host
        listening.close()
        got = getattr(error, "strerror", None) or str(error)
        fix = Setting("port", placeholder="PORT")
        raise LinnetError(f"{where}:{settings.port}", got=got, expected="a free port to listen on", fix=fix) from error
    listening.setblocking(False)
    return listening


def read_token(settings: ServeSettings) -> str | None:
    """The token that clients must send; None where none is set. Raises LinnetError where it cannot be read."""
    if settings.token_file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = read_regular(Path(settings.token_file), _MOST_TOKEN_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        got = getattr(error, "strerror", None) or str(error)
        raise LinnetError(settings.token_file, got=got, expected="a file with the token") from error
    if not token:
        raise LinnetError(settings.token_file, got="an empty file", expected="a file with the token")
    return token


def check_tls(settings: ServeSettings) -> bool:
    """Whether the server speaks HTTPS. Raises LinnetError where the certificate and its key are not usable."""
    if settings.certificate is None and settings.key is None:
        return False
    if settings.certificate is None or settings.key is None:
        missing = "certificate" if settings.certificate is None else "key"
        raise LinnetError("TLS", got=f"no {missing}", expected="both", fix=Setting(missing, placeholder="FILE"))
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # ssl.SSLError is one
        got = error.strerror or str(error)
        raise LinnetError(
            settings.certificate, got=got, expected="a certificate, and its key in the key file"
        ) from error
    return True


def run_server(
    app: Starlette, settings: ServeSettings, listening: socket.socket, ending: Ending, on_end: Callable[[], Any]
) -> None:
    """Answers until a signal, which calls ``on_end``. Requests that are being answered are finished."""
    config = uvicorn.Config(
        app,
        loop="asyncio",  # the one whose accept() is called
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_ENDING_S,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    server = _Uvicorn(config)
    logging.getLogger("uvicorn.error").addFilter(_NO_CLIENTS_FAULTS)

    def end() -> None:
        on_end()
        server.should_exit = True

    ending.calls(end)
    server.run(sockets=[listening])
