"""What a device of a ladder must do to label frames: be available, compute its canaries correctly, answer in time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from linnet_devices.api import DeviceError, Logits, OpenOptions, Pixels, Session
from linnet_devices.isolated import OPEN_S
from linnet_devices.registry import load_device
from linnet_devices.session import InputAdapter
from linnet_runtime.bundle import Bundle
from linnet_runtime.bundle_files import check_artifact
from linnet_runtime.proof.canary import ALL, Canary, check_canary
from linnet_runtime.sessions import PrecisionChoice, find_artifact, is_isolated, open_model, open_session

_SHARE_AFTER_FAILURE = 0.25
_FALLING_OFF = 0.9  # after each passed canary: about a thousand inferences until the usual share


class WrongAnswers(DeviceError):  # noqa: N818  # the state's name says it
    """A device whose logits of the canaries are not those of the bundle."""


class TooSlow(DeviceError):  # noqa: N818  # see above
    """A device that answers, but always late."""


@dataclass(frozen=True)
class Limits:
    """When an accelerator counts as failed, and when it is tried again."""

    deadline_s: float = 0.5
    """The most seconds for an inference."""
    slow_in_a_row: int = 10
    """So many inferences in a row that take more than half of the deadline are too slow."""
    open_s: float = OPEN_S
    """The most seconds for opening, and for the first inference."""
    start_s: float = 10.0
    """The most seconds that a start waits for accelerators. Then the stream begins on the next device that works, and
    an accelerator that opens later takes over."""
    canary_share: float = 0.01
    """The share of its time that an accelerator spends on canaries, one photo at a time: seconds between two of them
    follow from what one takes. After a failure it is 0.25 at first, and falls off."""
    canary_frames: int | None = None
    """Frames between two canary photos, in place of ``canary_share``."""
    out_s: float = 600.0
    """Seconds that a device stays out which failed its canary twice within a minute of use."""
    first_backoff_s: float = 1.0
    """Seconds until a failed device is tried again. Each further failure doubles them."""
    longest_backoff_s: float = 60.0
    """The most seconds until a failed device is tried again. A device that has worked for so long starts again with
    ``first_backoff_s``."""
    restarts_a_minute: int = 6
    """How often devices are tried again in a minute, all together; at least 1."""

    @property
    def slow_s(self) -> float:
        """The most seconds for an inference that is not slow."""
        return self.deadline_s / 2


@dataclass(frozen=True)
class Wanted:
    """What every device of a ladder opens, and how."""

    bundle: Bundle
    precision: PrecisionChoice
    options: OpenOptions
    canary: Canary | None
    limits: Limits


class CheckedSession:
    """A session that has passed its canaries; an isolated one is checked again and again with one photo of them. It is
    not for two threads at once.
    """

    verdict: str
    """The last result of the canaries."""
    passed_at: float | None
    """When an isolated session last passed a canary: seconds since the epoch. None for others, and without canaries."""
    unconfirmed: int
    """How many frames it has answered since."""

    def __init__(self, session: Session, wanted: Wanted, *, isolated: bool) -> None:
        """Runs all canaries, on an isolated device after a blank picture: the first inference takes longer.

        Raises:
            WrongAnswers, TooSlow, DeviceError: the session is then still open.
        """
        self.session = session
        self.verdict = "its artifact has no canary"
        self.passed_at = None
        self.unconfirmed = 0
        self._canary = wanted.canary
        self._limits = wanted.limits
        self._isolated = isolated
        self._share = self._limits.canary_share
        self._slow_in_a_row = self._photo = 0
        self._photos = len(wanted.canary.pixels) if wanted.canary else 1
        if isolated:
            session.run(np.zeros((1, *InputAdapter(session.model.input).shape), np.uint8))
        each_s = self._check(ALL) / self._photos
        self._due_at = time.monotonic() + each_s / self._share
        if isolated and each_s > self._limits.slow_s:
            raise self._too_slow(f"{each_s * 1e3:.0f} ms for a canary")

    def watch_closely(self) -> None:
        """Checks it often at first, because it has failed before."""
        self._share = max(_SHARE_AFTER_FAILURE, self._limits.canary_share)
        self._due_at = 0.0

    def run(self, pixels: Pixels) -> Logits:
        """``Session.run``, after a canary photo where one is due. Raises WrongAnswers where it fails."""
        if self._is_due():
            each_s = self._check(slice(self._photo, self._photo + 1))
            self._photo = (self._photo + 1) % self._photos
            self._share = max(self._limits.canary_share, _FALLING_OFF * self._share)
            self._due_at = time.monotonic() + each_s / self._share
        started = time.monotonic()
        logits = self.session.run(pixels)
        slow = (time.monotonic() - started) / len(pixels) > self._limits.slow_s
        self._slow_in_a_row = self._slow_in_a_row + 1 if slow else 0
        self.unconfirmed += len(pixels)
        return logits

    @property
    def slowness(self) -> TooSlow | None:
        """The error of an accelerator whose last inferences each took more than half of the deadline, or None."""
        if not self._isolated or self._slow_in_a_row < self._limits.slow_in_a_row:
            return None
        return self._too_slow(f"{self._slow_in_a_row} inferences in a row that took longer")

    def close(self) -> None:
        self.session.close()

    def _is_due(self) -> bool:
        if self.passed_at is None:
            return False
        frames = self._limits.canary_frames
        return time.monotonic() >= self._due_at if frames is None else self.unconfirmed >= frames

    def _check(self, photos: slice) -> float:
        """Runs canary photos and returns the seconds that they took. Raises WrongAnswers."""
        started = time.monotonic()
        result = check_canary(self._canary, self.session, photos)
        if result is not None:
            self.verdict = f"canary {result}"
            if not result.passed:
                since = f", {self.unconfirmed} frames after it last passed" if self.unconfirmed else ""
                raise WrongAnswers(
                    f"canary on {self.session.device}",
                    got=f"{result}{since}",
                    expected="the logits that the bundle keeps of its canary photos",
                )
            self.passed_at = time.time() if self._isolated else None
        self.unconfirmed = 0
        return time.monotonic() - started

    def _too_slow(self, got: str) -> TooSlow:
        limit = f"at most {self._limits.slow_s * 1e3:g} ms, half of the deadline"
        return TooSlow(f"device {self.session.device}", got=got, expected=limit)


def open_checked(name: str, wanted: Wanted, stop: threading.Event | None = None) -> CheckedSession:
    """Opens the model on a device, where it is isolated in a separate process, or on the first available device of a
    group. Setting ``stop`` ends an accelerator's opening early.

    Raises:
        DeviceError: its class tells what is wrong: DeviceUnavailable, DeviceCrashed, DeviceHung, WrongAnswers, TooSlow.
        BundleError: the artifact's file is damaged.
    """
    isolated = is_isolated(name)
    session = _open_isolated(name, wanted, stop) if isolated else _open_in_process(name, wanted)
    try:
        return CheckedSession(session, wanted, isolated=isolated)
    except BaseException:
        session.close()
        raise


def _open_isolated(name: str, wanted: Wanted, stop: threading.Event | None) -> Session:
    device, limits = load_device(name), wanted.limits
    artifact = find_artifact(wanted.bundle, device, wanted.precision)
    check_artifact(artifact)
    return open_model(
        device, artifact.model(), wanted.options, open_s=limits.open_s, run_s=limits.deadline_s, stop=stop
    )


def _open_in_process(name: str, wanted: Wanted) -> Session:
    return open_session(wanted.bundle, name, precision=wanted.precision, options=wanted.options)
