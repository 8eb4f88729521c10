"""Makes what the entry point of a plug-in names: a device, a source or a sink. Internal."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Any

from linnet_devices.errors import LinnetError

PLUGIN_FIX = "install what the plug-in needs, or report it to its author"


def make_from_plugin(
    point: EntryPoint, kind: str, members: Sequence[str], error_class: type[LinnetError], *arguments: object
) -> Any:
    """What the entry point's class or function returns for the arguments.

    Args:
        point: the entry point.
        kind: what it is to make, for the error: ``"device"``, ``"source"`` or ``"sink"``.
        members: the names of the members that the kind's protocol has.
        error_class: the class of the errors.
        arguments: the class or function is called with them.

    Raises:
        LinnetError: of ``error_class``: it cannot be made, or lacks a member.
    """
    what = f"plug-in {kind} {point.name} ({point.value})"
    try:
        made = point.load()(*arguments)
    except error_class:
        raise
    except Exception as error:  # a plug-in may raise anything, and the error names it
        raise error_class(what, got=f"{type(error).__name__}: {error}", fix=PLUGIN_FIX) from error
    missing = [member for member in members if not hasattr(made, member)]
    if missing:
        raise error_class(what, got=f"a {kind} without {', '.join(missing)}", fix=PLUGIN_FIX)
    return made
