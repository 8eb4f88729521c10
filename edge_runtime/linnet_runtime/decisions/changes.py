"""A change of what is decided."""

from __future__ import annotations

from typing import NamedTuple

from linnet_runtime.results import EventKind


class Change(NamedTuple):
    """An event without its time and place; see ``results.Event``."""

    kind: EventKind
    label: str | None
    previous: str | None
