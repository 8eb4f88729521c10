"""Labelled photos in a table: a CSV or TSV file with a row for each photo. Internal.

path,label[,part][,group]     a path is relative to the table; a part is train, val or test; further columns are ignored

The columns are separated by commas, tabs or semicolons, which Excel writes where a comma is the decimal sign.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from linnet_devices.errors import LinnetError, nearest
from linnet_runtime.files.folders import read_regular
from linnet_runtime.photos.file import PARTS, PhotoFile, label_named, part_named
from linnet_runtime.preprocess import PICTURE_SUFFIXES

TABLE_SUFFIXES = (".csv", ".tsv")
GROUP = "group"
_MOST_BYTES = 1 << 30  # a row has about a hundred
_SEPARATORS = ",\t;"
_NAMED = 8  # lines of an error


class _BadRow(Exception):  # noqa: N818  # it becomes part of an error
    def __init__(self, got: str, expected: str) -> None:
        super().__init__(got)
        self.got, self.expected = got, expected


def read_table(table: Path, group_column: str | None) -> list[PhotoFile]:
    """The photos of a table, in the order of its rows.

    Args:
        table: the CSV or TSV file, UTF-8.
        group_column: the column of the groups, which the table must have; None is ``group``, which it may have.

    Raises:
        LinnetError: no such file or column, no row, or a bad one, by its line number.
    """
    try:
        lines = io.StringIO(read_regular(table, _MOST_BYTES).decode("utf-8-sig"), newline="")
        separator = _separator(lines.readline())
        lines.seek(0)
        reader = csv.DictReader(lines, delimiter=separator, skipinitialspace=True, strict=True)
        _check_columns(table, list(reader.fieldnames or []), group_column)
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        got = error.strerror if isinstance(error, OSError) else str(error)
        raise LinnetError(str(table), got=got, expected="a table in UTF-8 with the columns path and label") from error
    if not rows:
        raise LinnetError(str(table), got="no rows", expected="one for each photo: path,label")
    good, bad = [], []
    seen: dict[Path, int] = {}
    divided = any((row.get("part") or "").strip() for _, row in rows)
    for line, row in rows:
        try:
            good.append(_row(table.parent, row, group_column or GROUP, divided=divided))
            first = seen.setdefault(good[-1].path, line)
            if first != line:
                raise _BadRow(f"{row['path']} again, which line {first} has", "each photo once")
        except _BadRow as error:
            bad.append((line, error))
    if bad:
        raise _error(table, bad)
    return good


def unknown_column(table: Path, columns: list[str], wanted: str) -> LinnetError:
    """The error about a column that the table does not have, with the nearest one that it has."""
    near = nearest(wanted, columns)
    got = "the columns " + ", ".join(columns) if columns else "an empty file"
    return LinnetError(
        str(table), got=got, expected=f"a column {wanted}", fix=f"is it the column {near[0]}?" if near else None
    )


def _separator(header: str) -> str:
    """The separator with which the header has the column path; a comma where none gives it."""
    for separator in _SEPARATORS:
        columns = next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])
        if len(columns) > 1 and "path" in columns:
            return separator
    return max(_SEPARATORS, key=header.count)


def _check_columns(table: Path, columns: list[str], group_column: str | None) -> None:
    for wanted in ("path", "label", *([group_column] if group_column else [])):
        if wanted not in columns:
            raise unknown_column(table, columns, wanted)


def _row(root: Path, row: dict[str, str | None], group_column: str, *, divided: bool) -> PhotoFile:
    if None in row or None in row.values():
        raise _BadRow("too many cells" if None in row else "too few cells", "a cell for each column")
    cells = {column: (cell or "").strip() for column, cell in row.items()}
    for column in ("path", "label"):
        if not cells[column]:
            raise _BadRow(f"no {column}", "one")
    path, part = root / cells["path"], cells.get("part", "")
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise _BadRow(cells["path"], "a picture: " + ", ".join(sorted(PICTURE_SUFFIXES)))
    if not path.is_file():
        raise _BadRow(f"no file {path}", "a path relative to the table")
    if divided and part_named(part) is None:
        near = nearest(part, PARTS)
        raise _BadRow(f"the part {part!r}", near[0] if near else ", ".join(PARTS[:-1]) + f" or {PARTS[-1]}")
    return PhotoFile(path, label_named(cells["label"]), part_named(part), cells.get(group_column) or None)


def _error(table: Path, bad: list[tuple[int, _BadRow]]) -> LinnetError:
    (line, first), *others = bad
    lines = ", ".join(_shown([line for line, _ in others]))
    return LinnetError(
        f"{table} line {line}",
        got=first.got,
        expected=first.expected,
        fix=f"the same for line{'s' * (len(others) > 1)} {lines}, which are bad too" if others else None,
    )


def _shown(lines: list[int]) -> Iterator[str]:
    yield from (str(line) for line in lines[:_NAMED])
    if len(lines) > _NAMED:
        yield f"and {len(lines) - _NAMED} more"
