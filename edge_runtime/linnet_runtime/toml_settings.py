"""Settings from a TOML file, with flags and ``--set`` over it, as structs; and one line for what does not fit.
Internal.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from linnet_devices.errors import LinnetError, Setting, nearest
from linnet_runtime.files.folders import read_regular

Table = dict[str, Any]
Struct = TypeVar("Struct", bound=msgspec.Struct)

_MOST_BYTES = 10_000_000
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class SettingsError(LinnetError):
    """A configuration file, or a setting, that does not fit."""


@dataclass(frozen=True)
class Origin:
    """Where settings come from, for the lines of errors."""

    what: str
    """What the settings are: ``"recipe"``. An error names it with the path of the key."""
    error: type[LinnetError] = SettingsError
    """The error to raise."""
    file: Path | None = None
    """The file whose lines errors name."""
    text: str = ""
    """What is in the file."""

    def place(self, path: str) -> str:
        """A key as errors name it: ``camera.toml, line 3: camera[0].policy`` where the file has it, or its table."""
        line, known = None, path
        while self.file and line is None and known != "$":
            line = line_of(self.text, known)
            known = _parent(known)
        if line is None:
            return f"{self.what} {path}"
        return f"{self.file}, line {line}" + (f": {path[2:]}" if path != "$" else "")


def _parent(path: str) -> str:
    return path[: max(path.rfind("."), path.rfind("["))]


def read_toml(
    path: Path, *, error: type[LinnetError] = SettingsError, expected: str = "a TOML file"
) -> tuple[Table, str]:
    """The tables of a file, and its text. Raises ``error`` where it cannot be read, with the line of a syntax error."""
    try:
        text = read_regular(path, _MOST_BYTES).decode()
        return tomllib.loads(text), text
    except OSError as failed:
        raise error(str(path), got=failed.strerror, expected=expected) from failed
    except ValueError as failed:
        raise error(str(path), got=str(failed), expected=expected) from failed


def parse_setting(text: str, *, error: type[LinnetError] = SettingsError) -> Table:
    """``optimizer.momentum=0.9``, a line of TOML, as tables; a value without quotes that is nothing else is a string.

    Raises ``error`` for what is no setting.
    """
    key, equals, value = text.partition("=")
    value = value.strip()
    # In single quotes first: there a backslash, as regular expressions have, stands for itself.
    for line in (text, f"{key} = '{value}'", f'{key} = "{value}"') if equals else ():
        try:
            return tomllib.loads(line)
        except tomllib.TOMLDecodeError:
            continue
    raise error(Setting("set", text), got="no setting", expected="KEY=VALUE, as a line of TOML")


def merge(under: Table, over: Table) -> Table:
    """Both, table by table; where both have a value it is ``over``'s. A table over an array of tables goes over each of
    them.
    """
    merged = {**under}
    for key, value in over.items():
        present = under.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            merged[key] = merge(present, value)
        elif isinstance(value, dict) and present and isinstance(present, list):
            merged[key] = [merge(item, value) if isinstance(item, dict) else item for item in present]
        else:
            merged[key] = value
    return merged


def to_struct(tables: Table, kind: type[Struct], origin: Origin) -> Struct:
    """The tables as a struct, with defaults for what they leave out.

    Raises ``origin.error``: an unknown key or name, with the nearest ones, or a value out of its range; with its place.
    """
    _check_keys(inspect.type_info(kind), tables, "$", origin)
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as failed:
        raise _misfit(str(failed), tables, origin) from failed


def unknown_name(what: str, got: str, known: Iterable[str], *, error: type[LinnetError] = SettingsError) -> LinnetError:
    """An error that lists the known names nearest to one that is not known; all of them where none is near."""
    known = sorted(known)
    names = nearest(got, known, most=3) or known
    return error(what, got=repr(got), expected=("one of " if len(names) > 1 else "") + ", ".join(names))


def struct_kinds(of: inspect.Type) -> dict[Any, inspect.StructType]:
    """The structs that a table may be, by their tags; None for one without a tag."""
    return {kind.tag: kind for kind in _members(of) if isinstance(kind, inspect.StructType)}


def line_of(text: str, path: str) -> int | None:
    """The line of TOML in which the value at a path such as ``$.camera[0].policy`` ends; None where there is none."""
    keys = [name or int(index) for name, index in _STEP.findall(path)]
    lines = text.splitlines()
    for n in range(1, len(lines) + 1):
        try:
            value: Any = tomllib.loads("\n".join(lines[:n]))
            for key in keys:
                value = value[key]
        except (tomllib.TOMLDecodeError, LookupError, TypeError):
            continue
        return n
    return None


def to_toml(tables: Table) -> str:
    """Tables as a TOML file: single values, then tables, then arrays of tables."""
    return "\n".join(_toml_lines(tables, "")).lstrip("\n") + "\n"


def _toml_lines(table: Table, name: str) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if _is_table(value) or _is_tables(value)}
    for key, value in table.items():
        if key not in inner and value is not None:
            yield f"{_toml_key(key)} = {_toml_value(value)}"
    for key, value in inner.items():
        path = f"{name}.{_toml_key(key)}" if name else _toml_key(key)
        for item in [value] if _is_table(value) else value:
            yield f"\n[{path}]" if _is_table(value) else f"\n[[{path}]]"
            yield from _toml_lines(item, path)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_table, value))


def _toml_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _toml_value(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, str):  # a basic string of TOML is JSON's, but for one character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return str(value).lower() if isinstance(value, bool | float) else str(value)


def _members(of: inspect.Type) -> tuple[inspect.Type, ...]:
    return of.types if isinstance(of, inspect.UnionType) else (of,)


def _words(of: inspect.Type) -> list[str]:
    """The strings or numbers that a value may be, where it may not be any."""
    types = _members(of)
    if any(isinstance(kind, inspect.StrType) for kind in types):
        return []
    return [str(word) for kind in types if isinstance(kind, inspect.LiteralType) for word in kind.values]


def _check_keys(of: inspect.Type, value: Any, path: str, origin: Origin) -> None:
    kinds, words = struct_kinds(of), _words(of)
    if isinstance(value, str) and "\0" in value:  # no path and no address can have it
        raise origin.error(origin.place(path), got=repr(value), expected="no zero character")
    if words and isinstance(value, str | int) and str(value) not in words:
        raise unknown_name(origin.place(path), str(value), words, error=origin.error)
    if isinstance(value, list):
        for kind in _members(of):
            if isinstance(kind, inspect.VarTupleType | inspect.ListType):
                for i, inner in enumerate(value):
                    _check_keys(kind.item_type, inner, f"{path}[{i}]", origin)
    if not kinds or not isinstance(value, dict) or (None not in kinds and "name" not in value):
        return
    if None not in kinds and value["name"] not in kinds:
        raise unknown_name(origin.place(f"{path}.name"), str(value["name"]), kinds, error=origin.error)
    struct = kinds[None] if None in kinds else kinds[value["name"]]
    fields = {field.encode_name: field for field in struct.fields}
    for key, inner in value.items():
        if key in fields:
            _check_keys(fields[key].type, inner, f"{path}.{key}", origin)
        elif key != struct.tag_field:
            # The recipe's errors name the table, the lines of a file the key.
            what = origin.place(path if origin.file is None else f"{path}.{key}")
            raise unknown_name(what, key, fields, error=origin.error)


def _misfit(message: str, tables: Table, origin: Origin) -> LinnetError:
    said, _, path = message.rpartition(" - at ")
    said, path = said or message, path.strip("`") or "$"
    value: Any = tables
    for name, index in _STEP.findall(path):
        if isinstance(value, dict | list):
            value = value.get(name) if isinstance(value, dict) else value[int(index)]
    if ": got " in said:  # a struct's own check, which names the key
        return origin.error(origin.place(path) + ("." if path != "$" else ": ") + said)
    if not said.startswith("Expected "):
        return origin.error(origin.place(path), got=said)
    expected = said.removeprefix("Expected ").partition(", got ")[0].replace("`", "")
    return origin.error(origin.place(path), got=repr(value), expected=expected)
