"""What a device of a ladder must do to label frames: be here, compute its canaries rightly, and answer in time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from linnet_devices.api import DeviceError, Logits, OpenOptions, Pixels, Session
from linnet_devices.isolated import OPEN_S
from linnet_devices.registry import load_device
from linnet_devices.session import InputAdapter
from linnet_runtime.bundle import Bundle, check_artifact
from linnet_runtime.proof.canary import PICTURES, Canary, check_canary
from linnet_runtime.sessions import PrecisionChoice, find_artifact, is_isolated, open_model, open_session


class WrongAnswers(DeviceError):  # noqa: N818  # the state's name says it
    """A device whose logits of the canaries are not those that the bundle says."""


class TooSlow(DeviceError):  # noqa: N818  # see above
    """A device that answers, but always late."""


@dataclass(frozen=True)
class Limits:
    """What an accelerator may do before another device takes its place.

    Args:
        deadline_s: seconds that an inference may take.
        slow_in_a_row: how many inferences of more than half of that are too slow.
        open_s: seconds that opening may take, and the first inference.
        start_s: seconds that a start waits for accelerators; the stream then begins on the next device that is well,
            and one that opens later takes over.
        canary_s: seconds between two runs of the canaries on the live accelerator.
        canary_frames: frames between two; None for no such limit.
        first_backoff_s: seconds until a device that failed is tried again; doubled with each further failure.
        longest_backoff_s: the most of them. Who held out that long begins with the first again.
        restarts_a_minute: how often devices are tried again, all together; at least 1.
    """

    deadline_s: float = 0.5
    slow_in_a_row: int = 10
    open_s: float = OPEN_S
    start_s: float = 10.0
    canary_s: float = 3600.0
    canary_frames: int | None = None
    first_backoff_s: float = 1.0
    longest_backoff_s: float = 60.0
    restarts_a_minute: int = 6

    @property
    def slow_s(self) -> float:
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
    """A session that has passed its canary; an accelerator is asked again every so often. Not for two threads at once.

    ``verdict`` is what the canaries last said.
    """

    def __init__(self, session: Session, wanted: Wanted, *, isolated: bool) -> None:
        """Runs the canaries, and on an accelerator a blank picture before: the first inference takes longer.

        Raises:
            WrongAnswers, TooSlow, DeviceError: the session is then still open.
        """
        self.session = session
        self.verdict = "its artifact has no canary"
        self._canary = wanted.canary
        self._limits = wanted.limits
        self._isolated = isolated
        self._frames = self._slow_in_a_row = 0
        if isolated:
            session.run(np.zeros((1, *InputAdapter(session.model.input).shape), np.uint8))
        started = time.monotonic()
        self._check()
        each_s = (self._checked_at - started) / PICTURES
        if isolated and each_s > self._limits.slow_s:
            raise self._too_slow(f"{each_s * 1e3:.0f} ms for a canary")

    def run(self, pixels: Pixels) -> Logits:
        """``Session.run``, after the canaries where they are due. Raises WrongAnswers where they fail."""
        if self._is_due():
            self._check()
        started = time.monotonic()
        logits = self.session.run(pixels)
        slow = (time.monotonic() - started) / len(pixels) > self._limits.slow_s
        self._slow_in_a_row = self._slow_in_a_row + 1 if slow else 0
        self._frames += len(pixels)
        return logits

    @property
    def slowness(self) -> TooSlow | None:
        """What is wrong with an accelerator whose last inferences each took more than half of the deadline."""
        if not self._isolated or self._slow_in_a_row < self._limits.slow_in_a_row:
            return None
        return self._too_slow(f"{self._slow_in_a_row} inferences in a row that took longer")

    def close(self) -> None:
        self.session.close()

    def _is_due(self) -> bool:
        if not self._isolated:
            return False
        frames = self._limits.canary_frames
        by_frames = frames is not None and self._frames >= frames
        return by_frames or time.monotonic() - self._checked_at >= self._limits.canary_s

    def _check(self) -> None:
        result = check_canary(self._canary, self.session)
        if result is not None:
            self.verdict = f"canary {result}"
            if not result.passed:
                since = f", {self._frames} frames after it last passed" if self._frames else ""
                raise WrongAnswers(f"canary on {self.session.device}", got=f"{result}{since}")
        self._checked_at = time.monotonic()
        self._frames = 0

    def _too_slow(self, got: str) -> TooSlow:
        limit = f"at most {self._limits.slow_s * 1e3:g} ms, half of the deadline"
        return TooSlow(f"device {self.session.device}", got=got, expected=limit)


def open_checked(name: str, wanted: Wanted, stop: threading.Event | None = None) -> CheckedSession:
    """Opens the model on a device, an accelerator in a process of its own, or on the first of a group of CPU engines.
    Setting ``stop`` ends an accelerator's opening early.

    Raises:
        DeviceError: its class says what is wrong: DeviceUnavailable, DeviceCrashed, DeviceHung, WrongAnswers, TooSlow.
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
