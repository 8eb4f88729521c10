"""Who may ask, and how much: the names of the server, pages of other sites, the token, and the size of a body."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet_devices.api import LinnetError, Setting
from linnet_runtime.server.answers import Busy, HttpError, TooLarge, error_response

OPEN_PATHS = frozenset({"/", "/v2/health/live", "/v2/health/ready", "/openapi.json"})
"""Answered without a token: they hold nothing of the cameras and models, and change nothing. The page asks for the
token itself."""
_HOST = re.compile(r"\[(?P<v6>[0-9a-fA-F:.]+)\](?::\d{1,5})?|(?P<name>[^:/@\s]+)(?::\d{1,5})?")
_HEADERS = {
    b"cache-control": b"no-store",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
_HELD_BODIES = 4  # as many of the largest bodies as are held in memory at one time


class WrongHost(HttpError):  # noqa: N818  # the status' own name
    """A request to another name than the server's: an attack by DNS rebinding, or a name that is not configured."""

    status = 421


class WrongOrigin(HttpError):  # noqa: N818  # see above
    """A request that a page of another site has sent."""

    status = 403


class NoToken(HttpError):  # noqa: N818  # see above
    """A request without the right token."""

    status = 401

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class TooSlow(HttpError):  # noqa: N818  # see above
    """A client that does not send its request in time."""

    status = 408

    def headers(self) -> dict[str, str]:
        return {"Connection": "close"}


class Guard:
    """ASGI middleware: refuses a request before anything looks at it, and adds the headers that protect a browser."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str], token: str | None) -> None:
        own = socket.gethostname().lower()
        self._app = app
        self._hosts = {"localhost", own, f"{own}.local", *(host.lower() for host in hosts)}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = dict(message["headers"])
                message["headers"] = [*message["headers"], *(item for item in _HEADERS.items() if item[0] not in given)]
            await send(message)

        try:
            self._check(scope["path"], Headers(scope=scope))
        except LinnetError as error:
            await error_response(error)(scope, receive, send_protected)
            return
        await self._app(scope, receive, send_protected)

    def _check(self, path: str, headers: Headers) -> None:
        """Raises HttpError for a request that must not be answered."""
        host = headers.get("host", "")
        if not self._is_own(host):
            fix = Setting("allow_host", placeholder="NAME")
            raise WrongHost("the request's Host", got=repr(host[:100]), expected="a name of this server", fix=fix)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise WrongOrigin("the request's Origin", got=repr(origin[:100]), expected="a page of this server")
        if self._token is None or path in OPEN_PATHS:
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(token.strip().encode(), self._token.encode())
        if scheme.lower() != "bearer" or not right:
            raise NoToken("the request's Authorization: expected Bearer and the server's token")

    def _is_own(self, host: str) -> bool:
        """Whether a Host header names this server. An address cannot be rebound to another one; a name can."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["v6"] or found["name"]).lower().rstrip(".")
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class Bodies:
    """Reads the bodies of requests, within a limit for each and one for all that are in memory."""

    def __init__(self, most_bytes: int, timeout_s: float) -> None:
        self.most_bytes = most_bytes
        self._timeout_s = timeout_s
        self._free = _HELD_BODIES * most_bytes

    async def read(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            TooLarge: it is beyond the limit; nothing beyond it has been read.
            TooSlow: it has not arrived in time.
            Busy: other large bodies are in memory.
        """
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > self.most_bytes:
            raise self._too_large(int(stated))
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise HttpError("the request's body", got="a compressed one", expected="no Content-Encoding")
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                async for chunk in request.stream():
                    self._free -= len(chunk)
                    body += chunk
                    if len(body) > self.most_bytes:
                        raise self._too_large(len(body))
                    if self._free < 0:
                        raise Busy("the request's body", got="large requests before it", expected="fewer at a time")
        except TimeoutError as error:
            got = f"{len(body)} bytes in {self._timeout_s:g} s"
            raise TooSlow("the request's body", got=got, expected="all of it") from error
        except ClientDisconnect as error:
            raise HttpError("the request's body", got="a client that has gone", expected="all of it") from error
        finally:
            self._free += len(body)
        return bytes(body)

    def _too_large(self, got: int) -> TooLarge:
        return TooLarge("the request's body", got=f"{got} bytes", expected=f"at most {self.most_bytes} bytes")
