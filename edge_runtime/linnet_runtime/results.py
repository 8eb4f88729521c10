"""What comes out of a pipeline: a result for each classified frame, and events; with their forms in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from linnet_runtime.classifier import Classification
from linnet_runtime.failover.rung import DeviceEvent
from linnet_runtime.sources.api import Frame
from linnet_runtime.unknown import UNKNOWN

EventKind = Literal[
    "enter",  # a label was decided where there was none
    "leave",  # the label is no longer decided, and no other is
    "change",  # another label was decided
    "unknown",  # the picture is none of the labels
    "offline",  # the source gives no frames
    "online",  # it gives frames again
    "frozen",  # it gives the same bytes again and again
    "moving",  # it gives other bytes again
    "covered",  # its frames have lost their detail: a covered or blurred lens
    "uncovered",  # its frames have detail again
    "too_small",  # a region of its frames is less than one pixel, and gives no results
    "large_enough",  # the region gives results again
    "failover",  # another device answers
    "recalled",  # the results since the last passed canary may be wrong
]


@dataclass(frozen=True)
class Event:
    """Something that happened to a decision, a camera or a device."""

    kind: EventKind
    """What happened."""
    at: float
    """When it happened: seconds since the epoch; for a decision the capture time of the frame that decided."""
    camera: str = ""
    """The camera's name; empty for the only camera and for events of a device."""
    region: str = ""
    """The region's name; empty where the region has no name."""
    label: str | None = None
    """The label that was decided, for events of a decision."""
    previous: str | None = None
    """The label that was decided before."""
    reason: str = ""
    """Why, in words; empty where the kind says it all."""
    device: str = ""
    """The device that failed, for ``"failover"`` and ``"recalled"``."""
    since: float | None = None
    """For ``"recalled"``: the ``canary_passed_at`` of the results of that device that may be wrong."""
    frames: int | None = None
    """For ``"recalled"``: how many such results there are."""
    frame: Frame | None = None
    """What decided, for a snapshot: the frame's region, turned. It is not part of the JSON."""

    @property
    def of_decision(self) -> bool:
        """Whether a decision has changed: the result that changed it names the event too."""
        return self.kind in ("enter", "leave", "change", "unknown")

    def to_json(self) -> dict[str, object]:
        """The event as a line of JSON has it."""
        named = {
            "camera": self.camera,
            "region": self.region,
            "label": self.label,
            "previous": self.previous,
            "reason": self.reason,
            "device": self.device,
            "since": self.since and round(self.since, 6),
            "frames": self.frames,
        }
        return {"event": self.kind, "at": round(self.at, 6)} | {key: value for key, value in named.items() if value}


def events_of_device(event: DeviceEvent) -> list[Event]:
    """What happened to a device, as sinks receive it: a failover, after the recall of the results that may be wrong."""
    continues = f"; {event.to} continues after {event.seconds:.3f} s" if event.to and event.seconds is not None else ""
    reason = f"{event.what}: {event.reason}{continues}"
    failover = Event("failover", event.at, reason=reason, device=event.device)
    if not event.frames:
        return [failover]
    recalled = Event(
        "recalled",
        event.at,
        reason=f"{event.what}: {event.frames} results of {event.device} since its last passed canary may be wrong",
        device=event.device,
        since=event.since,
        frames=event.frames,
    )
    return [recalled, failover]


@dataclass(frozen=True)
class Result:
    """A classified frame, or a region of it."""

    frame: int
    """Its number among the classified frames of its camera, from 1."""
    captured_at: float
    """When the camera took it: seconds since the epoch."""
    age_ms: float
    """Frame age in milliseconds: from the capture to this result."""
    classification: Classification
    """What the model says of this frame alone."""
    stages_ms: dict[str, float]
    """Milliseconds in each of the stages, and in ``wait``: the time that the frame waited for a free device."""
    label: str
    """The decided label: of this frame and, where results are smoothed, of those before it; ``"unknown"`` where none
    of the labels is probable enough, or where nothing has been decided yet."""
    probability: float
    """The probability of ``label``, 0 to 1; where the label is ``"unknown"``, of ``closest``."""
    closest: str | None = None
    """The most probable label where ``label`` is ``"unknown"``."""
    delay_ms: float = 0.0
    """Milliseconds that smoothing, agreement and dwell have held the label back; it is not part of the age."""
    labels: tuple[tuple[str, float], ...] = ()
    """All decided labels with their probabilities, most probable first, where several may be decided at once."""
    top: tuple[tuple[str, float], ...] = ()
    """The most probable labels with their probabilities, where the settings ask for them."""
    events: tuple[Event, ...] = ()
    """What has changed with this result. Each is also given as an event."""
    camera: str = ""
    """The camera's name; empty for the only camera."""
    region: str = ""
    """The region's name; empty where the whole frame is classified or the region has no name."""
    picture: Frame | None = None
    """What was classified, for snapshots: the frame's region, turned. It is not part of the JSON."""

    def to_json(self) -> dict[str, object]:
        """The result as a line of JSON has it; keys that would say nothing are left out."""
        line: dict[str, object] = {
            "frame": self.frame,
            "captured_at": round(self.captured_at, 6),
            "age_ms": round(self.age_ms, 3),
            "label": self.label,
            "probability": round(self.probability, 6),
            "device": self.classification.device,
            "stages_ms": {stage: round(ms, 3) for stage, ms in self.stages_ms.items()},
        }
        if self.classification.independent:
            line["independent"] = True
        if self.delay_ms:
            line["delay_ms"] = round(self.delay_ms, 3)
        for key, labels in {"labels": self.labels, "top": self.top}.items():
            if labels:
                line[key] = [{"label": label, "probability": round(p, 6)} for label, p in labels]
        if self.events:
            line["event"] = self.events[-1].kind
        if self.classification.canary_passed_at is not None:
            line["canary_passed_at"] = round(self.classification.canary_passed_at, 6)
        if self.classification.unknown_score is not None:
            line["unknown_score"] = round(self.classification.unknown_score, 6)
        reason = self.classification.reason if self.label == UNKNOWN else ""
        named = {"closest": self.closest, "reason": reason, "camera": self.camera, "region": self.region}
        return line | {key: text for key, text in named.items() if text}
