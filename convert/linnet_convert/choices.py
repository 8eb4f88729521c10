"""Names that a user chooses from a list. Internal."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TypeVar

from linnet_convert.errors import ConversionError
from linnet_devices.errors import Setting, nearest

Name = TypeVar("Name", bound=str)


def some_of(setting: Setting, names: Iterable[str], known: Collection[Name]) -> list[Name]:
    """The names in the order of those that are known. Raises ConversionError for another name, with the nearest one."""
    given = set(names)
    if unknown := sorted(given - set(known)):
        meant = nearest(unknown[0], known)
        raise ConversionError(
            setting,
            got=", ".join(unknown) or "''",
            expected="some of " + ",".join(known),
            fix=replace(setting, value=meant[0]) if meant else None,
        )
    return [name for name in known if name in given]


def split_names(text: str) -> list[str]:
    """The names in an option's text, which commas separate."""
    return [name.strip() for name in text.split(",")]
