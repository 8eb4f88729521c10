"""The devices of a ladder: whether each is open, when it is tried again, and what happened to it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from linnet_devices.api import DeviceUnavailable, LinnetError
from linnet_devices.errors import DeviceCrashed, DeviceHung
from linnet_runtime.failover.checked import CheckedSession, Limits, TooSlow, WrongAnswers

_TWICE_WITHIN_S = 60.0

Opener = Callable[[threading.Event], CheckedSession]

_WHAT: dict[type[Exception], str] = {
    DeviceUnavailable: "absent",
    DeviceCrashed: "crash",
    DeviceHung: "hang",
    WrongAnswers: "wrong answers",
    TooSlow: "slow",
}


@dataclass(frozen=True)
class DeviceEvent:
    """What happened to a device of a ladder."""

    device: str
    what: str
    """absent, late, crash, hang, error, wrong answers, slow, or back."""
    reason: str
    at: float
    """Seconds since 1970."""
    to: str | None = None
    """The device that continued; None where none did."""
    seconds: float | None = None
    """How long the first frame waited for that device's answer, including the time of the failed device."""
    frames: int = 0
    """How many frames it has answered since it last passed a canary: their results may be wrong."""
    since: float | None = None
    """When that was, in seconds since 1970."""


class Rung:
    """A device of the ladder: its session while it works, and when it is tried again after it has failed.

    ``opening`` is True until the first try has ended; ``reason`` is why the device is not used.
    """

    def __init__(self, name: str, opener: Opener, limits: Limits, *, isolated: bool) -> None:
        self.name = name
        self.isolated = isolated
        self.open = opener
        self.session: CheckedSession | None = None
        self.opening = True
        self.reason: str | LinnetError = ""
        self.retry_at = 0.0
        self._limits = limits
        self._backoff_s = limits.first_backoff_s
        self._opened_at = time.monotonic()
        self._has_failed = False
        self._wrong_at = -math.inf

    def up(self, session: CheckedSession) -> None:
        """It works from now on; one that has failed in use is checked often at first."""
        self.session, self._opened_at = session, time.monotonic()
        if self._has_failed:
            session.watch_closely()

    def down(self, error: Exception) -> DeviceEvent:
        """It has failed. Returns the event."""
        now, session = time.monotonic(), self.session
        if session is not None and now - self._opened_at >= self._limits.longest_backoff_s:
            self._backoff_s = self._limits.first_backoff_s
        self.session, self.retry_at = None, now + self._backoff_s
        self.reason = error if isinstance(error, LinnetError) else str(error)
        self._backoff_s = min(2 * self._backoff_s, self._limits.longest_backoff_s)
        said = str(error)
        if session is not None:
            self._has_failed = True
            if isinstance(error, WrongAnswers):
                if now - self._wrong_at <= _TWICE_WITHIN_S:
                    self.retry_at = now + self._limits.out_s
                    said += f". It stays out for {self._limits.out_s:g} s, because it did so twice within a minute"
                self._wrong_at = now
        event = DeviceEvent(self.name, _WHAT.get(type(error), "error"), said, time.time())
        if session is None or session.passed_at is None:
            return event
        return replace(event, frames=session.unconfirmed, since=session.passed_at)
