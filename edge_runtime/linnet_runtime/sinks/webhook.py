"""A POST of JSON to an HTTP server for each event, with a signature. Internal.

The header ``X-Linnet-Signature`` is ``sha256=`` and the HMAC-SHA256 of the body in hexadecimal. Its key is the secret
in the environment. The receiver computes the same and compares.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import math
import os
import re
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

import msgspec

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import SinkAway, SinkError, Stream
from linnet_runtime.sinks.settings import WebhookSettings
from linnet_runtime.sources.addresses import without_secrets

SECRET = "LINNET_WEBHOOK_SECRET"  # noqa: S105  # the variable's name
SIGNATURE = "X-Linnet-Signature"
_FIRST_BACKOFF_S = 0.5
_LONGEST_LINE = 4096  # bytes of an answer in which its status must be
_HOST = re.compile(rb"[A-Za-z0-9._:%-]+")
_TARGET = re.compile("[!-~]+")
_PORTS = {"http": 80, "https": 443}
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_TRY_LATER = (408, 425, 429, 500, 502, 503, 504)


def _parts(url: str) -> tuple[str, tuple[str, int], str]:
    """Scheme, host and port, and the path with the query. Raises ValueError where it is no HTTP address."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    known = parts.scheme in _PORTS and parts.username is None
    if not (known and _HOST.fullmatch(host.encode("idna")) and _TARGET.fullmatch(target)):
        raise ValueError("no HTTP address")
    return parts.scheme, (host, port or _PORTS[parts.scheme]), target


class Webhook:
    """Posts events, and results where the settings say so. An answer of 2xx is a delivery."""

    name, pictures = "webhook", False

    def __init__(self, settings: WebhookSettings, _stream: Stream) -> None:
        """Reads the address; nothing is sent yet.

        Raises:
            SinkError: it is not an HTTP address.
        """
        self._shown = without_secrets(settings.url)
        try:
            scheme, self._address, self._target = _parts(settings.url)
        except ValueError as error:  # UnicodeError, of a host's name, is one
            expected = "http://HOST[:PORT]/PATH or https://..., other characters percent-encoded"
            raise SinkError("webhook.url", got=self._shown, expected=expected) from error
        self._settings = settings
        self._tls = ssl.create_default_context() if scheme == "https" else None
        self._secret = os.environ.get(SECRET, "").encode()
        self._ends_at = math.inf  # on the monotonic clock
        self._ending = threading.Event()

    def write(self, item: Result | Event) -> bool:
        """Posts the item, and tries again after a failure.

        Raises:
            SinkAway: the server cannot be reached, hangs, or asks for another try; an event is kept.
            SinkError: the server refuses the item.
        """
        if isinstance(item, Result) and not self._settings.results:
            return False
        body = msgspec.json.encode(item.to_json())
        for number in range(self._settings.tries):
            if number and self._ending.wait(_FIRST_BACKOFF_S * 2 ** (number - 1)):
                break
            try:
                status = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                reason = str(error) or type(error).__name__
                continue
            if 200 <= status < 300:
                return True
            reason = f"status {status}"
            if status not in _TRY_LATER:
                raise SinkError(self._shown, got=reason, expected="2xx")
        raise SinkAway(self._shown, got=reason, expected="2xx")

    def finish(self, seconds: float) -> None:
        """Nothing is tried again. A POST that is under way ends within its ``timeout_s``."""
        self._ends_at = time.monotonic() + seconds
        self._ending.set()

    def close(self) -> None:
        pass

    def _post(self, body: bytes) -> int:
        """One POST on a connection of its own; redirections are not followed. Returns the status."""
        give_up = time.monotonic() + self._settings.timeout_s
        timeout_s = self._left_s(give_up)
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(*self._address, timeout=timeout_s)
        else:
            connection = http.client.HTTPSConnection(*self._address, timeout=timeout_s, context=self._tls)
        headers = {"Content-Type": "application/json", "User-Agent": "linnet"}
        if self._secret:
            headers[SIGNATURE] = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        try:
            connection.request("POST", self._target, body, headers)
            return self._status(connection.sock, give_up)
        finally:
            connection.close()

    def _status(self, answer: socket.socket, give_up: float) -> int:
        """The status of the answer. It is read here because a server that sends a byte now and then would keep
        ``http.client`` for ever.
        """
        line = b""
        while b"\n" not in line and len(line) < _LONGEST_LINE:
            answer.settimeout(self._left_s(give_up))
            if not (data := answer.recv(_LONGEST_LINE)):
                break
            line += data
        found = _STATUS.match(line)
        if found is None:
            raise http.client.BadStatusLine(repr(line[:40]))
        return int(found[1])

    def _left_s(self, give_up: float) -> float:
        left_s = min(give_up, self._ends_at) - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no answer in time")
        return left_s
