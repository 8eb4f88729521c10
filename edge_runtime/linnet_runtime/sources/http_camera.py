"""Cameras at http:// and https:// addresses. Internal.

The answer to one request decides: MJPEG, which most network cameras serve, is read here; any other stream goes to
OpenCV; a status, a web page or a single picture is an error that says so. With ``every=SECONDS`` in the query, the
camera is asked for one picture after the other.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable

from linnet_devices.closable import Closable
from linnet_runtime.preprocess import PictureError, decode_picture
from linnet_runtime.sources.addresses import take_options, without_secrets
from linnet_runtime.sources.api import NO_FRAME_YET, Frame, NoFrameYet, Source, SourceError
from linnet_runtime.sources.http_answer import FAILURES, answer
from linnet_runtime.sources.jpeg_stream import JpegStream
from linnet_runtime.sources.rtsp import TIMEOUT_S, NetworkStream
from linnet_runtime.sources.whole_picture import whole_picture

_PIECE_BYTES = 1 << 18
_MOST_BYTES = 20_000_000  # of one picture
_PAGES = ("text/html", "application/xhtml+xml")
_WAIT_S = 1.0  # the longest wait in one call of read
_FEW = 3  # bad pictures in a row that are left out; more of them are a loss


class MjpegSource(Closable):
    """JPEG pictures one after the other in the answer to a single request."""

    live, every_frame = True, False

    def __init__(self, name: str, response: http.client.HTTPResponse, timeout_s: float) -> None:
        self._name = name
        self._response = response
        self._timeout_s = timeout_s
        self._stream = JpegStream(response.headers.get_boundary("") or "")
        self._damaged = 0
        self._error: PictureError | None = None
        self._first: Frame | None = None

    @property
    def skipped(self) -> int:
        return self._stream.skipped + self._damaged

    def check(self) -> None:
        """Reads the first frame, which ``read`` then gives. Raises SourceError where there is none, or only one."""
        first = self.read()
        kind = self._response.headers.get_content_type()
        if first is None:
            raise SourceError(
                self._name,
                got=self._error.got if self._error else f"{kind} without a whole JPEG picture in {self._timeout_s:g} s",
                expected="a stream of JPEG pictures (MJPEG)",
                fix=None if self._error else "timeout=10 in the query of the address, if the camera is slow",
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
        give_up = time.monotonic() + self._timeout_s
        while time.monotonic() < give_up:
            picture = self._stream.next_picture()
            captured_at, captured_monotonic = time.time(), time.monotonic()
            if picture is not None:
                try:
                    with whole_picture(self._name):
                        pixels = decode_picture(picture, self._name)
                except PictureError as error:
                    self._error = error
                    self._damaged += 1
                    continue
                return Frame(pixels, "bgr", captured_at, captured_monotonic)
            try:
                piece = self._response.read1(_PIECE_BYTES)
            except FAILURES:
                return None
            if not piece:
                return None
            self._stream.feed(piece)
        return None

    def _release(self) -> None:
        self._response.close()


class SnapshotSource:
    """A camera that is asked for a picture every so many seconds. A few bad answers in a row are left out."""

    live, every_frame = True, False

    def __init__(self, ask: Callable[[], Frame], every_s: float) -> None:
        """Raises SourceError or PictureError where the first answer is no picture."""
        self.skipped = 0
        self._ask = ask
        self._every_s = every_s
        self._failures = 0
        self._asked = time.monotonic()
        self._first: Frame | None = ask()

    def read(self) -> Frame | NoFrameYet | None:
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        wait = self._asked + self._every_s - time.monotonic()
        time.sleep(min(max(0.0, wait), _WAIT_S))
        if wait > _WAIT_S:
            return NO_FRAME_YET
        self._asked = time.monotonic()
        try:
            frame = self._ask()
        except (SourceError, PictureError):
            self._failures += 1
            if self._failures > _FEW:
                return None
            self.skipped += 1
            return NO_FRAME_YET
        self._failures = 0
        return frame

    def close(self) -> None:
        """Nothing is open between two pictures."""


def open_http(uri: str) -> Source:
    """An http:// or https:// address, with ``user:password@`` where the camera asks for them (Basic or Digest).

    ``timeout=SECONDS`` in the query is for a slow camera, ``every=SECONDS`` for one that gives single pictures.

    Raises:
        SourceError: with the reason; neither the password nor the query is in it.
    """
    uri, options = take_options(uri, ("timeout", "every"))
    name, timeout_s = without_secrets(uri), options.get("timeout", TIMEOUT_S)
    if "every" in options:
        try:
            return SnapshotSource(lambda: _snapshot(uri, name, timeout_s), options["every"])
        except PictureError as error:
            raise SourceError(name, got=error.got, expected="a picture") from error
    response = answer(uri, timeout_s)
    kind = response.headers.get_content_type()
    try:
        if kind.startswith("multipart/") or (kind.startswith("image/") and "Content-Length" not in response.headers):
            source = MjpegSource(name, response, timeout_s)
            source.check()
            return source
        if kind in _PAGES:
            raise _web_page(name, "stream")
        if kind.startswith("image/"):
            raise _single_picture(name, kind)
    except SourceError:
        response.close()
        raise
    response.close()  # many cameras serve one client at a time
    return NetworkStream(uri, timeout_s)


def _snapshot(uri: str, name: str, timeout_s: float) -> Frame:
    """One picture. Raises SourceError where the camera does not answer, PictureError where it answers with none."""
    with answer(uri, timeout_s) as response:
        if response.headers.get_content_type() in _PAGES:
            raise _web_page(name, "picture")
        try:
            data = response.read(_MOST_BYTES)
        except FAILURES as error:
            raise SourceError(name, got="a picture that broke off", expected="a whole one") from error
    captured_at, captured_monotonic = time.time(), time.monotonic()
    with whole_picture(name):
        pixels = decode_picture(data, name)
    return Frame(pixels, "bgr", captured_at, captured_monotonic)


def _web_page(name: str, wanted: str) -> SourceError:
    fix = f"the address of the {wanted} itself, which the camera's manual or the page's source has"
    return SourceError(name, got="a web page", expected=f"a {wanted}", fix=fix)


def _single_picture(name: str, kind: str) -> SourceError:
    return SourceError(
        name,
        got=f"a single picture ({kind})",
        expected="a stream",
        fix="the camera's MJPEG or RTSP address, or every=1 in the query of this one to ask for a picture every second",
    )
