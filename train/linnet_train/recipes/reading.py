"""Reads a recipe from a file or from another run, and checks it."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import inspect

from linnet_runtime.run_files import load_config
from linnet_runtime.toml_settings import Origin, Table, read_toml, struct_kinds, to_struct
from linnet_train.errors import TrainingError
from linnet_train.recipes.recipe import Recipe


def read_recipe(path: Path) -> Table:
    """The tables of a TOML file or of another run. Raises TrainingError when they cannot be read."""
    if not path.is_dir():
        return read_toml(path, error=TrainingError, expected="a recipe: a TOML file, or a run's directory")[0]
    try:
        return load_config(path).recipe
    except OSError as error:
        raise TrainingError(str(path), got=error.strerror, expected="a TOML file, or a run's directory") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(str(path), got=str(error), expected="a recipe") from error


def to_recipe(tables: Table) -> Recipe:
    """The recipe of these tables. Missing keys have their defaults; a table without ``name`` has the default's name.

    Raises:
        TrainingError: an unknown key or name, with the nearest ones, or a value out of its range; with its JSON path.
    """
    tables = {**tables}
    for field in inspect.type_info(Recipe).fields:  # type: ignore[attr-defined]
        if isinstance(tables.get(field.name), dict):
            tables[field.name] = _named(field, tables[field.name])
    return to_struct(tables, Recipe, Origin("recipe", TrainingError))


def _named(field: inspect.Field, table: Table) -> Table:
    """The table with its ``name``. A table of free keys with the default's name also has the default's other keys."""
    if isinstance(field.type, inspect.DictType):
        default = field.default_factory()
        return {**default, **table} if table.get("name", default["name"]) == default["name"] else table
    kinds = struct_kinds(field.type)
    named = len(kinds) > 1 and None not in kinds
    return {"name": msgspec.to_builtins(field.default)["name"], **table} if named else table
