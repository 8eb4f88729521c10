"""A view for a person: the label with bars, how old the frame is, what was dropped, and the last events. Internal."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from linnet_runtime.results import Event, Result
from linnet_runtime.sinks.api import Stream
from linnet_runtime.sinks.settings import TerminalSettings

_EVENTS = 5
_STALE_S = 2.0  # a result that is older is shown in red
_UPDATES = 8  # a second


@dataclass(frozen=True)
class _Seen:
    """A result, and when it arrived on the monotonic clock."""

    result: Result
    at: float


class Terminal:
    """Draws the newest result of each camera and region again and again."""

    name, pictures = "terminal", False

    def __init__(self, settings: TerminalSettings, stream: Stream, console: Console | None = None) -> None:
        """Begins to draw on ``console``; None is standard output."""
        self._settings, self._stream = settings, stream
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._live = Live(
            console=console or Console(),
            get_renderable=self.view,
            refresh_per_second=_UPDATES,
            transient=False,
            redirect_stderr=sys.stderr.isatty(),  # warnings appear above the view, unless a file takes them
        )
        self._live.start()

    def write(self, item: Result | Event) -> bool:
        with self._lock:
            if isinstance(item, Event):
                self._events.append(item)
            else:
                self._seen[item.camera, item.region] = _Seen(item, time.monotonic())
        return True

    def close(self) -> None:
        """Leaves the last view on the screen."""
        self._live.stop()

    def view(self) -> RenderableType:
        """What is drawn now."""
        with self._lock:
            seen, events = dict(self._seen), list(self._events)
        parts: list[RenderableType] = [self._result(key, one) for key, one in seen.items()]
        if not parts:
            parts.append(Text("waiting for the first frame", style="dim"))
        parts.append(self._counters())
        parts.extend(_event(event) for event in events)
        return Group(*parts)

    def _result(self, key: tuple[str, str], seen: _Seen) -> RenderableType:
        result = seen.result
        since_s = time.monotonic() - seen.at
        table = Table.grid(padding=(0, 1))
        name = " ".join(filter(None, key))
        style = "bold yellow" if result.label == "unknown" else "bold green"
        age = Text(f"{result.age_ms:.0f} ms old", style="dim")
        if since_s > _STALE_S:
            age = Text(f"no result for {since_s:.0f} s", style="bold red")
        title = Text.assemble((f"{name}: " if name else "", "dim"), (result.label, style), f" {result.probability:.0%}")
        table.add_row(title, age, Text(result.classification.device, style="dim"))
        for label, probability in result.classification.top[: self._settings.labels]:
            bar = ProgressBar(total=1.0, completed=probability, width=30)
            table.add_row(Text(f"  {label}"), bar, f"{probability:6.1%}")
        return table

    def _counters(self) -> Text:
        statistics = self._stream.statistics()
        shown = [
            (f"{statistics.get('frames_classified', 0)} frames", ""),
            (f"{statistics['fps']:.1f} a second" if "fps" in statistics else "", ""),
            (f"{statistics.get('frames_dropped', 0)} dropped", ""),
        ]
        lost = {
            name: sink.get("dropped", 0) + sink.get("failed", 0) for name, sink in statistics.get("sinks", {}).items()
        }
        shown += [(f"{name} lost {count}", "red") for name, count in lost.items() if count]
        return Text("  ").join(Text(text, style=style) for text, style in shown if text)


def _event(event: Event) -> Text:
    at = time.strftime("%H:%M:%S", time.localtime(event.at))
    place = " ".join(filter(None, (event.camera, event.region)))
    change = " -> ".join(filter(None, (event.previous, event.label)))
    said = "  ".join(filter(None, (at, event.kind, place, change, event.reason)))
    return Text(said, style="cyan")
