"""``POST /v1/classify``: a picture in, the JSON of ``linnet classify`` out."""

from __future__ import annotations

from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.responses import Response

from linnet_devices.errors import printable
from linnet_runtime.classifier import Classifier
from linnet_runtime.server.answers import HttpError, json_response
from linnet_runtime.server.inference import classify_picture

_MOST_PARTS = 16


def classify_upload(body: bytes, content_type: str) -> Callable[[Classifier], Response]:
    """The work of one request, for the lane of a bundle: the body is a picture file, or a form with one.

    The work raises HttpError for a form without a picture, and as ``classify_picture``.
    """

    def work(classifier: Classifier) -> Response:
        source, picture = "", body
        kind, options = parse_options_header(content_type)
        if kind == b"multipart/form-data":
            source, picture = _picture_of_form(body, options.get(b"boundary", b""))
        if not picture:
            raise HttpError("the request's body", got="no bytes", expected="a picture file, or a form with one")
        line: dict[str, object] = {"source": source} if source else {}
        return json_response(line | classify_picture(picture, classifier).to_json())

    return work


def _picture_of_form(body: bytes, boundary: bytes) -> tuple[str, bytes]:
    """The file name and the content of the first part that is a file. Raises HttpError."""
    parts = _FormParts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]  # a TypedDict of these
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise HttpError("the request's form", got=str(error)[:200], expected="multipart/form-data") from error
    for disposition, content in parts.done:
        _, options = parse_options_header(disposition)
        if b"filename" in options:
            return printable(options[b"filename"].decode("utf-8", "surrogateescape")), content
    raise HttpError("the request's form", got=f"{len(parts.done)} parts without a file", expected="a part with a file")


class _FormParts:
    """The parts of a form: the header Content-Disposition and the content of each."""

    def __init__(self) -> None:
        self.done: list[tuple[bytes, bytes]] = []
        self._name = self._value = self._disposition = b""
        self._content = bytearray()

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_begin": self._begin_header,
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_content,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.done) == _MOST_PARTS:
            raise FormParserError(f"more than {_MOST_PARTS} parts")
        self._disposition, self._content = b"", bytearray()

    def _begin_header(self) -> None:
        self._name = self._value = b""

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def _end(self) -> None:
        self.done.append((self._disposition, bytes(self._content)))
