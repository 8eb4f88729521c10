"""What a camera's owner states: where to look, when to classify, what counts, and how sure it must be.

These are the tables ``[[camera.region]]``, ``[camera.when]`` and ``[camera.decision]`` of a configuration. A wrong
value is a ValueError in one line, to which msgspec's decoder adds the key's path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linnet_devices.errors import LinnetError, nearest
from linnet_runtime.bundle import TEMPERATURES
from linnet_runtime.decisions.geometry import crossing_edges, in_order, polygon_area

Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise by which a frame is turned before regions are cut out of it."""

_Share = Annotated[float, Meta(ge=0, le=1)]
_Seconds = Annotated[float, Meta(ge=0, le=86_400)]
_PositiveSeconds = Annotated[float, Meta(gt=0, le=86_400)]
_MOST_CORNERS = 64
_SLACK = 1e-9  # shares that are sums of decimal fractions: 0.7 + 0.2 + 0.1 is not 1


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a configuration."""


class Region(_Table, frozen=True):
    """A part of the frame that is classified by itself: a rectangle or a polygon.

    Its numbers are shares of the frame's width and height, 0 to 1, from the top left corner of the frame as it is seen
    after its rotation. They stay right when the camera's resolution changes.
    """

    name: str = ""
    """Its name in results and topics. It may be empty where a camera has one region."""
    rectangle: tuple[float, float, float, float] | None = None
    """x, y, width, height."""
    polygon: Annotated[tuple[tuple[float, float], ...], Meta(max_length=_MOST_CORNERS)] | None = None
    """The corners x, y in order, clockwise or not; the last is joined to the first. What is outside of the polygon and
    inside its bounding box is filled with ``regions.OUTSIDE``."""

    def __post_init__(self) -> None:
        """Raises ValueError, to which a decoder adds the JSON path."""
        if (self.rectangle is None) == (self.polygon is None):
            got = "neither" if self.polygon is None else "both"
            raise ValueError(f"rectangle and polygon: got {got}, expected one of the two")
        if not self.name.isprintable():
            raise ValueError(f"name: got {self.name!r}, expected printable characters")
        if self.rectangle is not None:
            _check_rectangle(self.rectangle)
        if self.polygon is not None:
            _check_polygon(self.polygon)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x, y, width, height of the rectangle, or of the polygon's bounding box."""
        if self.rectangle is not None:
            return self.rectangle
        xs, ys = zip(*(self.polygon or ()), strict=True)
        return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


class When(_Table, frozen=True):
    """Which frames are classified: those for which one of the stated conditions holds; every frame where none is."""

    interval_s: _PositiveSeconds | None = None
    """A frame is classified when the last one was captured at least this many seconds before."""
    motion: Annotated[float, Meta(gt=0, le=1)] | None = None
    """A frame is classified when more than this share of the region differs from the region at the last motion; 0.01
    suits most cameras."""
    motion_hold_s: _Seconds = 2.0
    """Frames are still classified for this many seconds after the last motion, so that smoothing and agreement settle
    on what the motion has left."""
    request: bool = False
    """A frame is classified when one is requested, by MQTT or HTTP. Requests are always answered; this key makes them
    a condition, so that frames without a request are not classified."""

    @property
    def every(self) -> bool:
        """Whether every frame is classified."""
        return self.interval_s is None and self.motion is None and not self.request


class DecisionSettings(_Table, frozen=True):
    """What counts as an answer, and how sure it must be. With the defaults the decided label is the most probable
    label of each frame. ``linnet_runtime.decisions.decider`` has the formulas.
    """

    top: Annotated[int, Meta(ge=0, le=100)] = 0
    """How many of the most probable labels a result lists with their probabilities."""
    allow: tuple[str, ...] = ()
    """The labels that may be decided; empty: all. The probabilities of the others are left as they are and not shared
    out, so that a list needs a threshold beside it."""
    deny: tuple[str, ...] = ()
    """The labels that are never decided."""
    threshold: _Share = 0.0
    """The probability from which a label counts. Where the most probable allowed label has less, the label is
    ``"unknown"``, and the result names that label as ``closest``."""
    thresholds: dict[str, _Share] = {}
    """Thresholds of single labels, in place of ``threshold``."""
    several: bool = False
    """For models with independent labels: all labels above their thresholds are decided, each by itself."""
    temperature: Annotated[float, Meta(ge=TEMPERATURES[0], le=TEMPERATURES[1])] | None = None
    """The divisor of the logits in place of the bundle's."""
    smoothing: Literal["none", "exponential", "vote"] = "none"
    """``"exponential"``: the probabilities are averaged, newer results with more weight. ``"vote"``: each result within
    the window votes for its own label."""
    window_s: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    """Seconds: the time constant of exponential smoothing, or the length of the vote's window."""
    agree: Annotated[int, Meta(ge=1, le=1000)] = 1
    """How many results in a row must have the same label before it is decided."""
    hysteresis: _Share = 0.0
    """The lead of the decided label: another label must be this much more probable, and the decided one is left only
    when its probability is this much below its threshold."""
    dwell_s: _Seconds = 0.0
    """The least number of seconds that a decided label stays."""
    gap_s: _PositiveSeconds | None = None
    """After this many seconds without a result, earlier results no longer count. Not stated: ten times the usual
    interval between results, and at least one second and twice the ``interval_s`` of ``when``."""

    def __post_init__(self) -> None:
        """Raises ValueError, to which a decoder adds the JSON path."""
        both = sorted(set(self.allow) & set(self.deny))
        if both:
            raise ValueError(f"allow and deny: got {both[0]!r} in both, expected it in one of the two")
        if self.several and not (self.threshold or self.thresholds):
            raise ValueError("several: got no threshold, expected one above 0, such as threshold = 0.5")


def check_labels(settings: DecisionSettings, labels: Sequence[str]) -> None:
    """Checks that a model has the labels that the settings name.

    Raises:
        LinnetError: a label that the model does not have, with the nearest one, or no label that is allowed.
    """
    for key in ("allow", "deny", "thresholds"):
        for label in getattr(settings, key):
            if label not in labels:
                near = nearest(label, labels) or list(labels[:5])
                some = ", ".join(near) + ("" if len(near) < 5 else ", ...")
                raise LinnetError(f"decision.{key}", got=repr(label), expected=f"a label of the model, such as {some}")
    if not set(settings.allow or labels) - set(settings.deny):
        raise LinnetError("decision.deny", got="every label of the model", expected="at least one that is left")


def check_regions(regions: Iterable[Region]) -> None:
    """Checks that the names of a camera's regions tell them apart.

    Raises:
        LinnetError: a name that two regions have, or several regions without a name.
    """
    seen: set[str] = set()
    for region in regions:
        if region.name in seen:
            got = f"{region.name!r} twice" if region.name else "several regions without a name"
            raise LinnetError("region.name", got=got, expected="a different name for each region of a camera")
        seen.add(region.name)


def parse_region(text: str) -> Region:
    """The region that ``--region X,Y,W,H`` states, in shares of the frame.

    Raises:
        LinnetError: not four numbers, or a rectangle that is not within the frame.
    """
    try:
        x, y, width, height = map(float, text.split(","))
    except ValueError as error:
        expected = "X,Y,W,H in shares of the frame, such as 0.25,0.25,0.5,0.5"
        raise LinnetError("region", got=repr(text), expected=expected) from error
    try:
        return Region(rectangle=(x, y, width, height))
    except ValueError as error:
        raise LinnetError(f"region {error}") from error


def _check_rectangle(rectangle: tuple[float, float, float, float]) -> None:
    x, y, width, height = rectangle
    shown = f"rectangle: got {_listed(rectangle)}"
    if max(rectangle) > 2:
        raise ValueError(f"{shown}, expected shares of the frame, 0 to 1. Fix: divide pixels by the frame's size")
    inside = 0 <= x < 1 and 0 <= y < 1 and 0 < width <= 1 + _SLACK and 0 < height <= 1 + _SLACK
    if inside and x + width <= 1 + _SLACK and y + height <= 1 + _SLACK:
        return
    if width <= 0 or height <= 0:
        raise ValueError(f"{shown}, expected a width and a height above 0")
    left, right = _along(x, width)
    top, bottom = _along(y, height)
    near = (left, top, right - left, bottom - top)
    if right > left and bottom > top:
        raise ValueError(f"{shown}, expected a part of the frame, such as {_listed(near)}")
    raise ValueError(f"{shown}, expected a part of the frame: x and y of 0 to 1, x + width and y + height of at most 1")


def _along(start: float, length: float) -> tuple[float, float]:
    return min(max(start, 0.0), 1.0), min(max(start + length, 0.0), 1.0)


def _check_polygon(polygon: tuple[tuple[float, float], ...]) -> None:
    if len(polygon) < 3:
        raise ValueError(f"polygon: got {len(polygon)} corners, expected at least 3")
    for i, corner in enumerate(polygon):
        if not all(0 <= value <= 1 for value in corner):
            near = tuple(min(max(value, 0.0), 1.0) for value in corner)
            raise ValueError(
                f"polygon[{i}]: got {_listed(corner)}, expected a point of the frame, such as {_listed(near)}"
            )
    twice = [i for i, corner in enumerate(polygon) if corner in polygon[:i]]
    if twice:
        i = twice[0]
        fix = ". Fix: leave it out, the last is joined to the first" if i == len(polygon) - 1 else ""
        raise ValueError(f"polygon[{i}]: got {_listed(polygon[i])} a second time, expected each corner once{fix}")
    crossing = crossing_edges(polygon)
    if crossing is not None:
        near_polygon = ", ".join(_listed(corner) for corner in in_order(polygon))
        edges = f"edges {crossing[0]} and {crossing[1]}, which cross"
        raise ValueError(f"polygon: got {edges}, expected an outline, such as [{near_polygon}]")
    if polygon_area(polygon) == 0:
        raise ValueError("polygon: got corners on one line, expected an area")


def _listed(values: Iterable[float]) -> str:
    return f"[{', '.join(f'{round(value, 6):g}' for value in values)}]"
