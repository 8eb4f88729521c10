"""A recipe of a file, of flags over it and of ``--set``, with a line for what does not fit."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from linnet_runtime.run_files import load_config
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Recipe

Table = dict[str, Any]

_CLOSE_ENOUGH = 0.5  # of difflib's 0..1


def read_recipe(path: Path) -> Table:
    """The tables of a TOML file, or of a run to repeat. Raises TrainingError where they cannot be read."""
    try:
        if path.is_dir():
            return load_config(path).recipe
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(str(path), got=error.strerror, expected="a TOML file, or a run's directory") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(str(path), got=str(error), expected="a recipe") from error


def parse_setting(text: str) -> Table:
    """``optimizer.momentum=0.9``, a line of TOML, as tables; a value without quotes that is nothing else is a string.

    Raises TrainingError for what is no setting.
    """
    key, equals, value = text.partition("=")
    value = value.strip()
    # In single quotes first: there a backslash, as regular expressions have, stands for itself.
    for line in (text, f"{key} = '{value}'", f'{key} = "{value}"') if equals else ():
        try:
            return tomllib.loads(line)
        except tomllib.TOMLDecodeError:
            continue
    raise TrainingError(f"--set {text}", got="no setting", expected="KEY=VALUE, as a line of TOML")


def merge(under: Table, over: Table) -> Table:
    """Both, table by table; where both have a value it is ``over``'s."""
    merged = {**under}
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(under.get(key), dict)
        merged[key] = merge(under[key], value) if both else value
    return merged


def to_recipe(tables: Table) -> Recipe:
    """The recipe, with defaults for what is not said; a table without a ``name`` means the default's.

    Raises:
        TrainingError: an unknown key or name, with the nearest ones, or a value out of its range; with its JSON path.
    """
    tables = {**tables}
    for field in inspect.type_info(Recipe).fields:  # type: ignore[attr-defined]
        if isinstance(tables.get(field.name), dict):
            tables[field.name] = _named(field, tables[field.name])
    _check_keys(inspect.type_info(Recipe), tables, "$")
    try:
        return msgspec.convert(tables, Recipe)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), tables) from error


def unknown_name(what: str, got: str, known: Iterable[str]) -> TrainingError:
    """An error that lists the known names nearest to one that is not known; all of them where none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(got.lower(), by_lower, n=3, cutoff=_CLOSE_ENOUGH)
    names = [by_lower[name] for name in near] or sorted(by_lower.values())
    return TrainingError(what, got=repr(got), expected=("one of " if len(names) > 1 else "") + ", ".join(names))


def _named(field: inspect.Field, table: Table) -> Table:
    """A table with its name: the default's where it has none; a free table of that name also has its other values."""
    if isinstance(field.type, inspect.DictType):
        default = field.default_factory()
        return {**default, **table} if table.get("name", default["name"]) == default["name"] else table
    kinds = _kinds(field.type)
    named = len(kinds) > 1 and None not in kinds
    return {"name": msgspec.to_builtins(field.default)["name"], **table} if named else table


def _kinds(of: inspect.Type) -> dict[Any, inspect.StructType]:
    """The structs that a table may be, by their names."""
    types = of.types if isinstance(of, inspect.UnionType) else [of]
    return {kind.tag: kind for kind in types if isinstance(kind, inspect.StructType)}


def _words(of: inspect.Type) -> list[str]:
    """The strings that a value may be, where it may not be any."""
    types = of.types if isinstance(of, inspect.UnionType) else [of]
    if any(isinstance(kind, inspect.StrType) for kind in types):
        return []
    return [str(word) for kind in types if isinstance(kind, inspect.LiteralType) for word in kind.values]


def _check_keys(of: inspect.Type, value: Any, path: str) -> None:
    kinds, words = _kinds(of), _words(of)
    if words and isinstance(value, str) and value not in words:
        raise unknown_name(f"recipe {path}", value, words)
    if not kinds or not isinstance(value, dict):
        return
    if None not in kinds and value["name"] not in kinds:
        raise unknown_name(f"recipe {path}.name", str(value["name"]), kinds)
    kind = kinds[None] if None in kinds else kinds[value["name"]]
    fields = {field.encode_name: field for field in kind.fields}
    for key, inner in value.items():
        if key in fields:
            _check_keys(fields[key].type, inner, f"{path}.{key}")
        elif key != kind.tag_field:
            raise unknown_name(f"recipe {path}", key, fields)


def _misfit(message: str, tables: Table) -> TrainingError:
    said, _, path = message.rpartition(" - at ")
    said, path = said or message, path.strip("`") or "$"
    value: Any = tables
    for key in path.split(".")[1:]:
        value = value.get(key) if isinstance(value, dict) else value
    if not said.startswith("Expected "):
        return TrainingError(f"recipe {path}", got=said)
    expected = said.removeprefix("Expected ").partition(", got ")[0].replace("`", "")
    return TrainingError(f"recipe {path}", got=repr(value), expected=expected)
