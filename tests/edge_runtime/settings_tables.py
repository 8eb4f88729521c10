"""The tables of keys in the documentation, made from the structs' own docstrings."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap

import msgspec


def settings_table(struct: type[msgspec.Struct], *, leave_out: tuple[str, ...] = ()) -> str:
    """A table of a struct's keys in Markdown: the key, what it means and its default."""
    meanings = _meanings(struct)
    rows = ["| Key | Meaning | Default |", "| --- | --- | --- |"]
    for field in msgspec.structs.fields(struct):
        if field.name not in leave_out:
            rows.append(f"| `{field.encode_name}` | {meanings[field.name]} | {_default(field)} |")
    return "\n".join(rows) + "\n"


def _meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring below each field, of the struct and of those that it extends."""
    meanings: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)) or kind is msgspec.Struct:
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
                assert isinstance(field.target, ast.Name)
                meanings[field.target.id] = _markdown(ast.literal_eval(after.value))
    return meanings


def _markdown(docstring: str) -> str:
    text = " ".join(docstring.split()).replace("``", "`").replace("|", "\\|")
    return re.sub(r"`(\"?)None\1`", "none", text)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if default is None or default in ((), {}, ""):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else msgspec.json.encode(default).decode()}`"
