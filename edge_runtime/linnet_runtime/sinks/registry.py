"""The sinks by name: a literal table, and the entry points of plug-ins. Internal.

A plug-in registers a class or function in the entry point group ``linnet.sinks``. It is called with its table of the
configuration, a dict, and with the ``Stream``. The group is read only where a table ``[sink.NAME]`` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from linnet_devices.errors import nearest
from linnet_devices.plugin import make_from_plugin
from linnet_runtime.sinks.api import Sink, SinkError, Stream
from linnet_runtime.sinks.kept_events import KeptEvents
from linnet_runtime.sinks.queued import QueuedSink
from linnet_runtime.sinks.settings import SinkSettings, TableName
from linnet_runtime.sinks.several import Sinks

ENTRY_POINT_GROUP = "linnet.sinks"
_MEMBERS = ("name", "pictures", "write", "close")  # of the protocol Sink


@dataclass(frozen=True)
class Entry:
    """A sink of the table."""

    target: str
    """Where its class is: ``"module:Class"``. It is called with the settings of its table and the ``Stream``."""
    hint: str = ""
    """The command that installs what the module imports."""
    local: bool = False
    """Whether it writes to this machine. Where every frame matters, the stream waits for it."""


SINKS: dict[TableName, Entry] = {
    "json_lines": Entry("linnet_runtime.sinks.json_lines:JsonLines", local=True),
    "terminal": Entry("linnet_runtime.sinks.terminal:Terminal"),
    "mqtt": Entry("linnet_runtime.sinks.mqtt:Mqtt", "pip install 'linnet[mqtt]'"),
    "metrics": Entry("linnet_runtime.sinks.metrics:Metrics", "pip install 'linnet[metrics]'"),
    "webhook": Entry("linnet_runtime.sinks.webhook:Webhook"),
    "log": Entry("linnet_runtime.sinks.log:Log", local=True),
    "video": Entry("linnet_runtime.sinks.video:Video", local=True),
    "snapshots": Entry("linnet_runtime.sinks.snapshots:Snapshots", local=True),
}


def open_sinks(settings: SinkSettings, stream: Stream, *more: Sink) -> Sinks:
    """Opens the sinks of a configuration, and ``more``. Where one cannot be opened, the others are closed.

    Raises:
        SinkError: a sink cannot be opened; the error says why.
    """
    with ExitStack() as stack:
        opened = []
        for sink in _queued(settings, stream):
            opened.append(stack.enter_context(sink))
        for other in more:
            opened.append(stack.enter_context(QueuedSink(other, wait=not stream.live)))
        stack.pop_all()
    return Sinks(opened)


def load_plugin(name: str, settings: Mapping[str, Any], stream: Stream) -> Sink:
    """The plug-in's sink of that name.

    Raises:
        SinkError: no plug-in has that name, it cannot be opened, or it is not a sink.
    """
    points = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in points:
        known = sorted([*SINKS, *points])
        near = nearest(name, known)
        fix = (f"[{near[0]}]" if near[0] in SINKS else f"[sink.{near[0]}]") if near else None
        raise SinkError(f"[sink.{name}]", got="no plug-in of that name", expected="one of " + ", ".join(known), fix=fix)
    sink: Sink = make_from_plugin(points[name], "sink", _MEMBERS, SinkError, settings, stream)
    return sink


def _queued(settings: SinkSettings, stream: Stream) -> Iterator[QueuedSink]:
    for name, entry in SINKS.items():
        table = getattr(settings, name)
        if table is not None:
            kept = getattr(table, "keep_events", "")
            yield QueuedSink(
                _load(name, entry, table, stream),
                wait=entry.local and not stream.live,
                kept_events=KeptEvents(Path(kept)) if kept else None,
            )
    for plugin, table in settings.sink.items():
        yield QueuedSink(load_plugin(plugin, table, stream))


def _load(name: str, entry: Entry, settings: object, stream: Stream) -> Sink:
    try:
        factory = resolve_name(entry.target)
    except ImportError as error:
        raise SinkError(f"sink {name}", got=str(error), fix=entry.hint) from error
    sink: Sink = factory(settings, stream)
    return sink
