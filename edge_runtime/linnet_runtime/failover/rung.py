"""The devices of a ladder: whether each is open, when it is tried again, and what happened to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from linnet_devices.api import DeviceError, DeviceUnavailable, LinnetError
from linnet_devices.errors import DeviceCrashed, DeviceHung
from linnet_runtime.failover.checked import CheckedSession, Limits, TooSlow, WrongAnswers

Opener = Callable[[threading.Event], CheckedSession]

_WHAT: dict[type[Exception], str] = {
    DeviceUnavailable: "absent",
    DeviceCrashed: "crash",
    DeviceHung: "hang",
    WrongAnswers: "wrong answers",
    TooSlow: "slow",
}


@dataclass(frozen=True)
class Event:
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

    def up(self, session: CheckedSession) -> None:
        self.session, self._opened_at = session, time.monotonic()

    def down(self, error: Exception) -> None:
        now = time.monotonic()
        if self.session is not None and now - self._opened_at >= self._limits.longest_backoff_s:
            self._backoff_s = self._limits.first_backoff_s
        self.session, self.retry_at = None, now + self._backoff_s
        self.reason = error if isinstance(error, LinnetError) else str(error)
        self._backoff_s = min(2 * self._backoff_s, self._limits.longest_backoff_s)


def failure(rung: Rung, error: DeviceError) -> Event:
    """The event of its failure, now."""
    return Event(rung.name, _WHAT.get(type(error), "error"), str(error), time.time())
