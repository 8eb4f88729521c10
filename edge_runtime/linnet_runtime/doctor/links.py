"""What a check finds of one link of a chain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from linnet_runtime.doctor.system import System

State = Literal["ok", "absent", "warning", "broken"]


class Link(msgspec.Struct, frozen=True):
    """A link, what was found, and what to do about it.

    ``absent`` is hardware that is not here, which nothing can mend but its user; ``warning`` is what works, less well
    than it could; ``broken`` is what does not work although the chain begins here.
    """

    link: str
    state: State
    found: str
    fix: str = ""


def ok(link: str, found: str) -> Link:
    """A link that holds."""
    return Link(link, "ok", found)


def absent(link: str, found: str, fix: str = "") -> Link:
    """Something that is not here; a ``fix`` where a part of its chain is."""
    return Link(link, "absent", found, fix)


def warning(link: str, found: str, fix: str) -> Link:
    """What works, less well than it could."""
    return Link(link, "warning", found, fix)


def broken(link: str, found: str, fix: str) -> Link:
    """What does not work."""
    return Link(link, "broken", found, fix)


def permission(system: System, node: Path, no_rule: str) -> Link:
    """Whether the user may read and write a device's node. ``no_rule`` is the fix where no group may."""
    name = system.name(node)
    if os.access(node, os.R_OK | os.W_OK, effective_ids=True):
        return ok("permission", name)
    status = node.stat()
    group = system.group_name(status.st_gid)
    if status.st_mode & 0o060 != 0o060 or group == "root":
        return broken("permission", f"{name} is {group}'s alone: no udev rule opens it", no_rule)
    if system.is_in_group(group):
        return broken(
            "permission", f"{name} is for the group {group}, which you joined after you logged in", "log in again"
        )
    return broken("permission", f"{name} is for the group {group}", f"sudo usermod -aG {group} $USER, and log in again")
