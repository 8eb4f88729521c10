"""Results and events as lines of a file, JSON or CSV. Its size and the number of older files are bounded. Internal.

Files are told apart by their numbers, never by a time: a clock that is set back changes nothing.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import SinkError, Stream
from linnet_runtime.sinks.settings import LogSettings

_COLUMNS = (
    "frame",
    "captured_at",
    "camera",
    "region",
    "label",
    "probability",
    "closest",
    "unknown_score",
    "age_ms",
    "delay_ms",
    "device",
    "event",
    "at",
    "previous",
    "reason",
)


class Log:
    """Appends lines to a file. Where it cannot be written, the line is lost and the next one tries again."""

    name, pictures = "log", False

    def __init__(self, settings: LogSettings, _stream: Stream) -> None:
        """Opens the file, and continues one that exists.

        Raises:
            SinkError: another suffix than .jsonl or .csv, or a place that cannot be written.
        """
        self._path = Path(settings.path)
        if self._path.suffix not in (".jsonl", ".csv"):
            raise SinkError("log.path", got=settings.path, expected="NAME.jsonl or NAME.csv")
        self._settings = settings
        self._most_bytes = int(settings.max_mb * 1e6)
        self._header = _csv_line(dict(zip(_COLUMNS, _COLUMNS, strict=True))) if self._path.suffix == ".csv" else b""
        self._file: BinaryIO | None = None
        self._bytes = 0
        try:
            self._open()
        except OSError as error:
            raise SinkError(settings.path, got=error.strerror, expected="a place that can be written") from error

    def write(self, item: Result | Event) -> bool:
        """Appends a line. Raises SinkError where the disk is full, or the folder has gone."""
        if isinstance(item, Result) and not self._settings.results:
            return False
        line = self._line(item)
        try:
            if self._file is not None and os.fstat(self._file.fileno()).st_nlink == 0:
                self.close()  # it was removed
            elif self._bytes and self._bytes + len(line) > self._most_bytes:
                self._rotate()
            if self._file is None:
                self._open()
            header = self._header if self._bytes == 0 else b""
            self._append(header + line)
        except OSError as error:
            raise SinkError(self._settings.path, got=error.strerror) from error
        return True

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: bytes) -> None:
        """Writes a whole line or none: half of one would spoil the next."""
        file = self._file or self._open()
        written = 0
        try:
            while written < len(line):
                written += os.write(file.fileno(), line[written:])
        except OSError:
            os.ftruncate(file.fileno(), self._bytes)
            raise
        self._bytes += written

    def _open(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab")
        self._bytes = self._file.tell()
        return self._file

    def _rotate(self) -> None:
        """NAME becomes NAME.1, which was NAME.2 before; the oldest one goes."""
        self.close()
        for number in range(self._settings.files - 1, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        if self._settings.files == 1:
            self._path.unlink(missing_ok=True)
        self._bytes = 0

    def _numbered(self, number: int) -> Path:
        return self._path.with_suffix(f".{number}{self._path.suffix}") if number else self._path

    def _line(self, item: Result | Event) -> bytes:
        line = item.to_json()
        return msgspec.json.encode(line) + b"\n" if self._path.suffix == ".jsonl" else _csv_line(line)


def _csv_line(line: dict[str, object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([line.get(column, "") for column in _COLUMNS])
    return text.getvalue().encode()
