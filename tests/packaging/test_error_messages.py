"""The page of error messages quotes what the code says."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

import pytest

from program import ROOT

LAYERS = ("devices", "edge_runtime", "train", "convert")

# What LinnetError puts between its parts, and the page's sign for a name or a number.
_BETWEEN = re.compile("…|: got |, expected |: expected |got ")


def _quoted() -> list[str]:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    return re.findall(r"^### `(.*)`$", page, re.MULTILINE)


@functools.cache
def _strings() -> list[list[str]]:
    """The strings of each module; an f-string is those between its values."""
    modules = [ast.parse(path.read_text()) for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
    return [
        [node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        for module in modules
    ]


def _is_in_the_code(message: str) -> bool:
    """Whether one module has every part of the message."""
    parts = [part for piece in _BETWEEN.split(message) if (part := piece.strip(" ,:[]"))]
    return any(all(any(part in string for string in strings) for part in parts) for strings in _strings())


@pytest.mark.parametrize("message", _quoted())
def test_a_quoted_message_is_in_the_code(message: str) -> None:
    assert _is_in_the_code(message)


@pytest.mark.parametrize("message", ["no such message, got …", "a … that is damaged or cut short, expected the moon"])
def test_another_message_is_not(message: str) -> None:
    assert not _is_in_the_code(message)


# Below the commands nobody has typed a flag. A command that the user is to run may have flags.
_ABOVE = ("commands", "cli.py", "command.py", "options.py")
_FLAG = re.compile(r"(^|\s)--[a-z]")
_COMMAND = re.compile(r"\b(linnet|pip|python3?|v4l2-ctl|virtual environment)\b.*")


def _texts_of_errors(source: str) -> Iterator[str]:
    """The texts in the calls of a module that make an error; an f-string is that between its values."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.endswith(("Error", "error")):
            for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
                strings = (node.value for node in ast.walk(argument) if isinstance(node, ast.Constant))
                yield "…".join(string for string in strings if isinstance(string, str))


def _names_a_flag(text: str) -> bool:
    return _FLAG.search(_COMMAND.sub("", text)) is not None


def test_an_error_below_the_commands_names_a_setting_and_no_flag() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {text}"
        for layer in LAYERS
        for path in sorted((ROOT / layer).rglob("*.py"))
        if not any(part in _ABOVE for part in path.parts)
        for text in _texts_of_errors(path.read_text())
        if _names_a_flag(text)
    ]
    assert named == []


def test_a_flag_in_an_error_is_found() -> None:
    source = 'raise TrainingError("data", got=f"{n}", fix=f"--batch-size {n}, or linnet train --devices 1")'
    assert [_names_a_flag(text) for text in _texts_of_errors(source)] == [False, False, True]
