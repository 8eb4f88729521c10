"""The page of error messages quotes what the code says."""

from __future__ import annotations

import ast
import functools
import re

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
