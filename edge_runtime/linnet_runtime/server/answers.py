"""Answers in JSON, and the errors that become one: the protocol's ``{"error": "..."}``."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from linnet_devices.api import LinnetError
from linnet_devices.errors import DeviceError
from linnet_runtime.preprocess import PictureError

RETRY_AFTER_S = 1
_BUSY = {"Retry-After": str(RETRY_AFTER_S)}


class HttpError(LinnetError):
    """A request that is refused, with the status of the answer."""

    status = 400

    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return _BUSY if self.status == 503 else {}


class NotFound(HttpError):  # noqa: N818  # the status' own name
    """An address or a model that does not exist."""

    status = 404


class TooLarge(HttpError):  # noqa: N818  # see above
    """A body beyond the limit."""

    status = 413


class Busy(HttpError):  # noqa: N818  # see above
    """The queue is full, or the bundle is not loaded at the moment: the client may try again."""

    status = 503


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def error_response(error: LinnetError) -> Response:
    """The answer to a request that is refused: its status says whose the fault is."""
    headers = {}
    if isinstance(error, HttpError):
        status, headers = error.status, error.headers()
    elif isinstance(error, PictureError):
        status = 422
    elif isinstance(error, DeviceError):
        status, headers = 503, _BUSY
    else:
        status = 400
    return json_response({"error": error.line(options=True)}, status, headers)
