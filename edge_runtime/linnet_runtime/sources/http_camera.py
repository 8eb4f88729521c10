"""Cameras at http:// and https:// addresses.

The answer to one request decides: MJPEG, which most network cameras serve, is read here; any other stream goes to
OpenCV; a status, a web page or a single picture is an error that says so.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import cast

from linnet_devices.closable import Closable
from linnet_runtime.preprocess import PictureError, decode_picture
from linnet_runtime.sources.addresses import without_secrets
from linnet_runtime.sources.api import Frame, Source, SourceError
from linnet_runtime.sources.http_login import authorization
from linnet_runtime.sources.jpeg_stream import JpegStream
from linnet_runtime.sources.rtsp import TIMEOUT_S, open_stream

_TIMEOUT_S = 2.0  # for the connection, the answer and each piece of the stream
_FRAME_S = 3.0  # a stream without a whole picture for so long counts as ended
_PIECE_BYTES = 1 << 18
_PAGES = ("text/html", "application/xhtml+xml")
_FAILURES = (OSError, http.client.HTTPException, ValueError)  # ValueError: what http.client and urllib cannot parse
_ADDRESS = "http://HOST/PATH, with special characters of a password percent-encoded"


class MjpegSource(Closable):
    """JPEG pictures one after the other in the answer to a single request."""

    live = True

    def __init__(self, name: str, response: http.client.HTTPResponse) -> None:
        self._name = name
        self._response = response
        self._stream = JpegStream()
        self._first: Frame | None = None
        self.skipped = 0

    def check(self) -> None:
        """Reads the first frame, which ``read`` then gives. Raises SourceError where there is none, or only one."""
        first = self.read()
        kind = self._response.headers.get_content_type()
        if first is None:
            raise SourceError(
                self._name, got=f"{kind} without a whole JPEG picture", expected="a stream of JPEG pictures (MJPEG)"
            )
        if kind.startswith("image/") and self.read() is None:
            raise _single_picture(self._name, kind)
        self._first = first
        self._opened()

    def read(self) -> Frame | None:
        """The next frame; None when the stream has ended, was interrupted or stalls. Damaged pictures are left out."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        give_up = time.monotonic() + _FRAME_S
        while time.monotonic() < give_up:
            picture = self._stream.next_picture()
            captured_at, captured_monotonic = time.time(), time.monotonic()
            if picture is not None:
                try:
                    return Frame(decode_picture(picture, self._name), "bgr", captured_at, captured_monotonic)
                except PictureError:
                    self.skipped += 1
                    continue
            try:
                piece = self._response.read1(_PIECE_BYTES)
            except _FAILURES:
                return None
            if not piece:
                return None
            self._stream.feed(piece)
        return None

    def _release(self) -> None:
        self._response.close()


def open_http(uri: str) -> Source:
    """An http:// or https:// address, with ``user:password@`` where the camera asks for them (Basic or Digest).

    Raises:
        SourceError: with the reason; neither the password nor the query is in it.
    """
    name = without_secrets(uri)
    response = _answer(uri, name)
    kind = response.headers.get_content_type()
    try:
        if kind.startswith("multipart/") or (kind.startswith("image/") and "Content-Length" not in response.headers):
            source = MjpegSource(name, response)
            source.check()
            return source
        if kind in _PAGES:
            raise SourceError(
                name,
                got="a web page",
                expected="a stream",
                fix="the address of the stream itself, which the camera's manual or the page's source has",
            )
        if kind.startswith("image/"):
            raise _single_picture(name, kind)
    except SourceError:
        response.close()
        raise
    response.close()  # many cameras serve one client at a time
    return open_stream(uri, TIMEOUT_S)


def _single_picture(name: str, kind: str) -> SourceError:
    return SourceError(
        name,
        got=f"a single picture ({kind})",
        expected="a stream",
        fix="the camera's MJPEG or RTSP address",
    )


def _answer(uri: str, name: str) -> http.client.HTTPResponse:
    """The answer of the camera, with status 200. Redirects are followed, to http:// and https:// only."""
    try:
        parts = urllib.parse.urlsplit(uri)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise SourceError(name, got="an address that cannot be understood", expected=_ADDRESS) from error
    if not host:
        raise SourceError(name, got="no host", expected=_ADDRESS)
    address = parts._replace(netloc=f"[{host}]{port}" if ":" in host else f"{host}{port}", fragment="").geturl()
    user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
    try:
        return _get(address)
    except urllib.error.HTTPError as error:
        error.close()
        challenges = error.headers.get_all("WWW-Authenticate", [])
        login = authorization(challenges, _target(address), user, password) if user else None
        # After a redirect to another address, the password would go to whoever is there.
        if error.code != http.client.UNAUTHORIZED or login is None or error.url != address:
            raise _refused(name, error.code, known=bool(user)) from error
    except _FAILURES as error:
        raise _unreachable(name, error) from error
    try:
        return _get(address, login)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(name, error.code, known=True) from error
    except _FAILURES as error:
        raise _unreachable(name, error) from error


def _target(address: str) -> str:
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))


def _get(address: str, login: str | None = None) -> http.client.HTTPResponse:
    request = urllib.request.Request(address)  # noqa: S310  # open_source has seen that it is http:// or https://
    if login:
        request.add_unredirected_header("Authorization", login)
    opener = urllib.request.OpenerDirector()  # not build_opener's, which follows redirects to ftp:// too
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return cast("http.client.HTTPResponse", opener.open(request, timeout=_TIMEOUT_S))


def _refused(name: str, status: int, *, known: bool) -> SourceError:
    """The error for an HTTP status. The text that the server sends with it is not shown."""
    phrase = http.client.responses.get(status, "")
    fix = {
        401: "the right user and password" if known else "http://USER:PASSWORD@HOST/PATH",
        403: "a user who may see the stream",
        404: "the path of the stream, which the camera's manual has",
    }.get(status)
    return SourceError(name, got=f"HTTP status {status} {phrase}".rstrip(), expected="a stream", fix=fix)


def _unreachable(name: str, error: Exception) -> SourceError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return SourceError(name, got=f"no answer within {_TIMEOUT_S:g} s", expected="a stream")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return SourceError(
            name,
            got=f"a certificate that cannot be verified: {reason.verify_message}",
            expected="a trusted one",
            fix="SSL_CERT_FILE=camera.pem in the environment, with the camera's certificate",
        )
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return SourceError(name, got=without_secrets(text), expected="a stream")
