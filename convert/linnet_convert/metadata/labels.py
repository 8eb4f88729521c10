"""A file of labels in the forms that people have: one label for each output of a model, in the outputs' order."""

from __future__ import annotations

import csv
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet_convert.errors import ConversionError
from linnet_runtime.files.folders import read_regular

logger = logging.getLogger("linnet")

_MOST_BYTES = 10_000_000
_EXPECTED = "one label a line, in the order of the model's outputs"
_EXPECTED_JSON = 'a list of names, {"0": "NAME"}, {"NAME": 0}, or a config.json with id2label'
_UNAMBIGUOUS = 'a .json with ["NAME", "NAME"], where the number is part of the name'
_LINE_END = re.compile(r"\r\n|\r|\n")
# "0 bolt", "0: bolt", "0,bolt", "0. bolt", "0 - bolt"; "bolt,0".
_INDEX_FIRST = re.compile(r"(?P<index>\d+)(?:\s*[,;:=]\s*|[.)]\s+|\s+(?:-\s+)?)(?P<name>\S.*)")
_LISTED = re.compile(r"-\s+(?P<name>\S.*)")  # a list of YAML
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<name>.+)(?P=quote),?""")
_INDEX_LAST = re.compile(r"(?P<name>\S.*?)\s*[,;:\t]\s*(?P<index>\d+)")
_ITEM_BEGINS = re.compile(r"\bitem\s*:?\s*\{")
_ITEM = re.compile(_ITEM_BEGINS.pattern + r"([^{}]*)\}")
_FIELD = re.compile(r"""\b(id|name|display_name)\s*:\s*(?:(\d+)|"([^"]*)"|'([^']*)')""")
_NAME_COLUMNS = ("display_name", "name", "label", "class_name", "class")
_INDEX_COLUMNS = ("id", "index", "class_id", "class_index", "label_id", "label_index")


@dataclass(frozen=True)
class _Label:
    name: str
    place: str
    """Where it is in the file: ``line 3``."""
    index: int = -1
    """The index that the file gives it; -1 where its place is its index."""


def read_labels(path: Path, outputs: int) -> tuple[str, ...]:
    """The labels in a file, for a model with that many outputs. See ``parse_labels``."""
    try:
        data = read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise ConversionError(str(path), got=error.strerror, expected=_EXPECTED) from error
    return parse_labels(data, str(path), outputs)


def parse_labels(data: bytes, what: str, outputs: int) -> tuple[str, ...]:
    """The labels in the bytes of a file: lines with an index or without, a table with a header, a pbtxt or JSON.

    Args:
        data: UTF-8, with a byte order mark or without, with any line ends.
        what: the file's name for messages.
        outputs: how many outputs the model has.

    Returns:
        A label for each output. Of two outputs with one name, as ImageNet's two cranes, the second gets its index:
        ``crane (517)``.

    Raises:
        ConversionError: a line that is not understood, by its number; or more or fewer labels than outputs.
    """
    if len(data) > _MOST_BYTES:
        raise ConversionError(what, got="a larger file", expected=f"at most {_MOST_BYTES} bytes")
    text = _decoded(data, what)
    lines = [(number, line.strip()) for number, line in enumerate(_LINE_END.split(text), 1)]
    if text.lstrip()[:1] in ("[", "{"):
        labels = _from_json(text, what)
    elif _ITEM_BEGINS.search(text):
        labels = _from_items(text, what)
    else:
        filled = [(number, line) for number, line in lines if line]
        labels = _from_table(filled, what) or _from_lines(filled, what)
    for label in labels:
        if not label.name or not label.name.isprintable():
            raise ConversionError(f"{what} {label.place}", got=repr(label.name), expected="a label")
    if len(labels) != outputs:
        raise _miscounted(labels, lines, what, outputs)
    return _distinct(labels, what)


def _decoded(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line_at(data[: error.start].decode(errors="replace"))
        raise ConversionError(f"{what} {line}", got="bytes that are not UTF-8", expected="UTF-8 text") from error


def _line_at(text_before: str) -> str:
    return f"line {len(_LINE_END.findall(text_before)) + 1}"


def _from_json(text: str, what: str) -> list[_Label]:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConversionError(what, got=f"damaged JSON: {error}", expected=_EXPECTED_JSON) from error
    if isinstance(content, dict) and isinstance(content.get("id2label"), dict):
        content = content["id2label"]
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return [_Label(name.strip(), f"entry {i}") for i, name in enumerate(content)]
    if isinstance(content, dict) and all(key.isdecimal() and isinstance(name, str) for key, name in content.items()):
        return _in_order([_Label(name.strip(), f"entry {key}", int(key)) for key, name in content.items()], what)
    if isinstance(content, dict) and all(type(index) is int for index in content.values()):
        return _in_order([_Label(name.strip(), f"entry {i}", i) for name, i in content.items()], what)
    raise ConversionError(what, got="other JSON", expected=_EXPECTED_JSON)


def _from_items(text: str, what: str) -> list[_Label]:
    """TensorFlow's label map: item { id: 1 name: 'n01440764' display_name: 'tench' }."""
    labels = []
    for begin in _ITEM_BEGINS.finditer(text):
        item = _ITEM.match(text, begin.start())
        fields = {
            kind: number or first or second for kind, number, first, second in _FIELD.findall(item[1] if item else "")
        }
        name, index = fields.get("display_name") or fields.get("name"), fields.get("id", "")
        if name is None or not index.isdecimal():
            expected = "item { id: 1 name: 'NAME' }"
            raise ConversionError(f"{what} {_line_at(text[: begin.start()])}", got="another item", expected=expected)
        labels.append(_Label(name.strip(), _line_at(text[: begin.start()]), int(index)))
    return _in_order(labels, what)


def _from_table(lines: list[tuple[int, str]], what: str) -> list[_Label]:
    """The rows below a header that names a column of indices and one of names; [] where there is no such header."""
    separator = next((sign for sign in ",;\t" if lines and sign in lines[0][1]), ",")
    try:
        rows = [next(csv.reader([line], delimiter=separator, skipinitialspace=True)) for _, line in lines]
    except csv.Error:  # a line that is too long for a cell
        return []
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    named = next((header.index(name) for name in _NAME_COLUMNS if name in header), None)
    counted = next((header.index(name) for name in _INDEX_COLUMNS if name in header), None)
    if named is None or counted is None:
        return []
    labels = []
    for (number, line), row in zip(lines[1:], rows[1:], strict=True):
        if len(row) != len(header) or not row[counted].strip().isdecimal():
            expected = f"{len(header)} cells, with a whole number as {header[counted]}"
            raise ConversionError(f"{what} line {number}", got=repr(line), expected=expected)
        labels.append(_Label(row[named].strip(), f"line {number}", int(row[counted])))
    return _in_order(labels, what)


def _from_lines(lines: list[tuple[int, str]], what: str) -> list[_Label]:
    names = _each_without(_LISTED, [line for _, line in lines])
    labels = _indexed([(number, name) for (number, _), name in zip(lines, names, strict=True)], what)
    names = _each_without(_QUOTED, [label.name for label in labels])
    return [_Label(name, label.place, label.index) for label, name in zip(labels, names, strict=True)]


def _each_without(sign: re.Pattern[str], names: list[str]) -> list[str]:
    """The names that the sign surrounds, where it surrounds all of them."""
    matches = [sign.fullmatch(name) for name in names]
    return [match["name"].strip() for match in matches if match] if all(matches) else names


def _indexed(lines: list[tuple[int, str]], what: str) -> list[_Label]:
    """The labels of lines with an index each, or with none."""
    for pattern in (_INDEX_FIRST, _INDEX_LAST):
        matches = [pattern.fullmatch(line) for _, line in lines]
        found = [(number, match) for (number, _), match in zip(lines, matches, strict=True) if match]
        if len(found) == len(lines) > 0:
            return _in_order(
                [_Label(match["name"].strip(), f"line {n}", int(match["index"])) for n, match in found], what
            )
        counting = [i for i, match in enumerate(matches) if match and int(match["index"]) in (i, i + 1)]
        if len(counting) > 1:
            number, line = next(entry for entry, match in zip(lines, matches, strict=True) if not match)
            expected = "an index, as other lines have one"
            raise ConversionError(f"{what} line {number}", got=repr(line), expected=expected, fix=_UNAMBIGUOUS)
    return [_Label(line, f"line {number}") for number, line in lines]


def _in_order(labels: list[_Label], what: str) -> list[_Label]:
    """By their indices, which count from 0 or from 1 without a gap."""
    ordered = sorted(labels, key=lambda label: label.index)
    first = 1 if ordered and ordered[0].index == 1 else 0
    for expected, label in enumerate(ordered, first):
        if label.index != expected:
            raise ConversionError(
                f"{what} {label.place}",
                got=f"the index {label.index}",
                expected=f"{expected}: every index once, from 0 or 1 on",
                fix=_UNAMBIGUOUS,
            )
    return ordered


def _miscounted(labels: list[_Label], lines: list[tuple[int, str]], what: str, outputs: int) -> ConversionError:
    got, fix = f"{len(labels)} labels", None
    first: dict[str, _Label] = {}
    again = next((label for label in labels if first.setdefault(label.name, label) is not label), None)
    blank = next((number for number, line in lines if not line and number < len(lines)), None)
    if len(labels) < outputs and blank is not None:
        got += f", and line {blank} is blank"
    elif len(labels) > outputs and again is not None:
        got += f", and {again.place} has {again.name!r} again, as {first[again.name].place}"
    elif len(labels) + 1 == outputs:
        fix = "a first line such as background, where the model has a class for none"
    return ConversionError(what, got=got, expected=f"{outputs}, one for each output of the model", fix=fix)


def _distinct(labels: list[_Label], what: str) -> tuple[str, ...]:
    in_file, names = {label.name for label in labels}, dict[str, None]()
    for index, label in enumerate(labels):
        name = label.name
        if name in names:
            name = f"{label.name} ({index})"
            if name in in_file:
                raise ConversionError(f"{what} {label.place}", got=f"{label.name!r} again", expected="another name")
            logger.warning("%s %s: %r again; this output is named %r", what, label.place, label.name, name)
        names[name] = None
    return tuple(names)
