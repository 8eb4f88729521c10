"""The result of a check: one link of a chain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from linnet_runtime.doctor.system import System

State = Literal["ok", "absent", "warning", "broken"]


class Link(msgspec.Struct, frozen=True):
    """One part of a chain, and its state."""

    link: str
    """Its name."""
    state: State
    """``"absent"``: the hardware is not connected. ``"warning"``: it works, but not as well as it could.
    ``"broken"``: it does not work although a part of the chain is present."""
    found: str
    """What was found."""
    fix: str = ""
    """What to do about it; empty where there is nothing to do."""


def ok(link: str, found: str) -> Link:
    """A link that works."""
    return Link(link, "ok", found)


def absent(link: str, found: str, fix: str = "") -> Link:
    """A missing part; with a ``fix`` where another part of its chain is present."""
    return Link(link, "absent", found, fix)


def warning(link: str, found: str, fix: str) -> Link:
    """A link that works, but not as well as it could."""
    return Link(link, "warning", found, fix)


def broken(link: str, found: str, fix: str) -> Link:
    """A link that does not work."""
    return Link(link, "broken", found, fix)


def permission(system: System, node: Path, no_rule: str) -> Link:
    """Whether the user may read and write a device file. ``no_rule`` is the fix where no group may."""
    name = system.name(node)
    if os.access(node, os.R_OK | os.W_OK, effective_ids=True):
        return ok("permission", name)
    status = node.stat()
    group = system.group_name(status.st_gid)
    if status.st_mode & 0o060 != 0o060 or group == "root":
        return broken("permission", f"only {group} may use {name}: there is no udev rule for it", no_rule)
    if system.is_in_group(group):
        return broken(
            "permission", f"{name} belongs to the group {group}, which you joined after you logged in", "log in again"
        )
    return broken(
        "permission", f"{name} belongs to the group {group}", f"sudo usermod -aG {group} $USER, and log in again"
    )
