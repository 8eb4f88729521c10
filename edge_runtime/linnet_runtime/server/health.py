"""The state of the server in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from linnet_runtime.results import Event
from linnet_runtime.server.board import Board
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.models import Models

Level = Literal["good", "warning", "error"]
_LATE_MS = 1000.0
_RECENT_S = 600.0
_WORDS = {
    "offline": "gives no frames",
    "frozen": "gives the same picture again and again",
    "covered": "shows no detail: the lens is covered or blurred",
    "too_small": "gives frames that are too small for a region",
}


@dataclass(frozen=True)
class Statement:
    """One sentence about the state."""

    level: Level
    text: str


def health(models: Models, cameras: LiveCameras, board: Board, rate: float | None) -> list[Statement]:
    """What is wrong, worst first; one good sentence where nothing is. ``rate`` is results per second, None
    in the first second.
    """
    found = [*_of_models(models), *_of_cameras(cameras, board)]
    if not found:
        found = [Statement("good", _all_well(cameras, rate))]
    return sorted(found, key=lambda statement: ("error", "warning", "good").index(statement.level))


def _of_models(models: Models) -> Iterator[Statement]:
    for model in models:
        if model.lane is None:
            yield Statement("error", f"{model.name} is not loaded." + (f" {model.reason}" if model.reason else ""))
        elif model.reason:
            yield Statement(
                "warning", f"{model.name}: a new version was refused, version {model.version} continues. {model.reason}"
            )


def _of_cameras(cameras: LiveCameras, board: Board) -> Iterator[Statement]:
    if cameras.failure:
        yield Statement("error", f"The cameras have stopped and are opened again. {cameras.failure}")
    for event in board.troubles():
        since = duration(time.time() - event.at)
        text = f"{event.camera or 'The camera'} {_WORDS[event.kind]}, for {since}."
        yield Statement("error", text + (f" {event.reason}" if event.reason else ""))
    failover = board.failover()
    if failover is not None and time.time() - failover.at < _RECENT_S:
        yield Statement("warning", _failover(failover))
    age: dict[str, float] | None = cameras.recent().get("age")
    if age and age["p90"] > _LATE_MS:
        yield Statement("warning", f"Results are late: one in ten is older than {age['p90'] / 1e3:.1f} s.")
    if cameras.ended:
        yield Statement("warning", "The source has ended: the last result stays.")


def _failover(event: Event) -> str:
    what = "Results may have been wrong" if event.kind == "recalled" else "Another device has taken over"
    return f"{what} {duration(time.time() - event.at)} ago. {event.reason}".rstrip()


def _all_well(cameras: LiveCameras, rate: float | None) -> str:
    age = cameras.recent().get("age")
    if not cameras.settings:
        return "Everything works. No camera is configured: pictures can be sent to /v1/classify."
    if not age:
        return "Everything works. No result has come in the last minute."
    number = len(cameras.settings)
    often = "" if rate is None else f"{rate:.3g} results per second, "
    return (
        f"Everything works: {number} camera{'s' * (number != 1)}, {often}"
        f"{age['p50']:.3g} ms from the camera to the label."
    )


def duration(seconds: float) -> str:
    """A time in words, such as ``"12 s"`` or ``"3 min"``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
