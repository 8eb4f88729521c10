"""The answer of an http:// or https:// camera to a request: with the login that it asks for, or why there is none.
Internal.
"""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import cast

from linnet_runtime.sources.addresses import without_secrets
from linnet_runtime.sources.api import SourceError
from linnet_runtime.sources.http_login import authorization

FAILURES = (OSError, http.client.HTTPException, ValueError)
"""What reading from a camera may raise. ValueError: what http.client and urllib cannot parse."""
_ADDRESS = "http://HOST/PATH, with special characters of a password percent-encoded"


def answer(uri: str, timeout_s: float) -> http.client.HTTPResponse:
    """The answer of the camera, with status 200. Redirects are followed, to http:// and https:// only.

    Args:
        uri: the address, with ``user:password@`` where the camera asks for them.
        timeout_s: for the connection, the answer and each piece of its content.

    Raises:
        SourceError: with the reason; neither the password nor the query is in it.
    """
    name = without_secrets(uri)
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
        return _get(address, timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        challenges = error.headers.get_all("WWW-Authenticate", [])
        login = authorization(challenges, _target(address), user, password) if user else None
        # After a redirect to another address, the password would go to whoever is there.
        if error.code != http.client.UNAUTHORIZED or login is None or error.url != address:
            raise _refused(name, error.code, known=bool(user)) from error
    except FAILURES as error:
        raise _unreachable(name, error, timeout_s) from error
    try:
        return _get(address, timeout_s, login)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(name, error.code, known=True) from error
    except FAILURES as error:
        raise _unreachable(name, error, timeout_s) from error


def _target(address: str) -> str:
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))


def _get(address: str, timeout_s: float, login: str | None = None) -> http.client.HTTPResponse:
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
    return cast("http.client.HTTPResponse", opener.open(request, timeout=timeout_s))


def _refused(name: str, status: int, *, known: bool) -> SourceError:
    """The error for an HTTP status. The text that the server sends with it is not shown."""
    phrase = http.client.responses.get(status, "")
    fix = {
        401: "the right user and password" if known else "http://USER:PASSWORD@HOST/PATH",
        403: "a user who may see the stream",
        404: "the path of the stream, which the camera's manual has",
    }.get(status)
    return SourceError(name, got=f"HTTP status {status} {phrase}".rstrip(), expected="a stream", fix=fix)


def _unreachable(name: str, error: Exception, timeout_s: float) -> SourceError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        fix = "timeout=10 in the query of the address, if the camera is slow"
        return SourceError(name, got=f"no answer within {timeout_s:g} s", expected="a stream", fix=fix)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return SourceError(
            name,
            got=f"a certificate that cannot be verified: {reason.verify_message}",
            expected="a trusted one",
            fix="SSL_CERT_FILE=camera.pem in the environment, with the camera's certificate",
        )
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return SourceError(name, got=without_secrets(text), expected="a stream")
