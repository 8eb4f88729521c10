"""A ladder of devices as one session: when a device fails the next one answers, and the better one comes back.

Every device of the ladder stays open, so that a change to the next takes no longer than its inference. A thread reopens
the devices that failed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

from linnet_devices.api import DeviceError, DeviceUnavailable, LinnetError, Logits, Model, Pixels, Placement, Setting
from linnet_devices.closable import Closable
from linnet_runtime.failover.checked import CheckedSession, Limits
from linnet_runtime.failover.rung import DeviceEvent, Rung

logger = logging.getLogger("linnet")

_PATIENCE_S = 10.0  # when all have failed, for the first to come back
_CLOSING_S = 5.0
_MOST_EVENTS = 1000
_MINUTE_S = 60.0


class SupervisedSession(Closable):
    """The devices of a ladder, best first, as one session; see ``linnet_devices.api.Session``.

    The first device that works answers; ``device``, ``model`` and ``placement`` are those of the device that answered
    last. When a device fails at a frame, the next one answers that frame, so that none is lost; ``frames_repeated``
    counts these frames.
    """

    def __init__(self, name: str, rungs: list[Rung], limits: Limits) -> None:
        """Opens all rungs, accelerators side by side.

        Raises:
            DeviceUnavailable: none can be opened; the error has the reason of each.
            BundleError: an artifact's file is damaged.
        """
        self.events: deque[DeviceEvent] = deque(maxlen=_MOST_EVENTS)
        self.frames_repeated = self.frames_recalled = 0
        self.frames_by_device: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()  # in use, by the name in the ladder
        self.restarts: Counter[str] = Counter()
        self._name = name
        self._rungs = rungs
        self._started = False
        self._fault: Exception | None = None  # not a device's: it is raised to the caller
        self._failed: list[CheckedSession] = []  # the thread closes them, because that may take a while
        self._listeners: list[Callable[[DeviceEvent], object]] = []
        self._unheard: deque[DeviceEvent] = deque(maxlen=_MOST_EVENTS)
        self._listening = threading.Lock()
        self._unanswered: list[DeviceEvent] = []
        self._restarts: deque[float] = deque(maxlen=limits.restarts_a_minute)
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._open_first, args=(rung,), name="linnet-opening", daemon=True)
            for rung in rungs
            if rung.isolated
        ]
        try:
            self._start(limits.start_s)
            best = self._best(patience_s=0)[1]
            self._answered_by, self._passed_at = best.session, best.passed_at
        except BaseException:
            self._release()
            raise
        with self._changed:
            self._started = True
            known = list(self.events)
        for event in known:
            _log_left_out(event)
        self._threads.append(threading.Thread(target=self._reopen, name="linnet-supervisor", daemon=True))
        self._threads[-1].start()
        self._opened()

    @property
    def device(self) -> str:
        return self._answered_by.device

    @property
    def model(self) -> Model:
        return self._answered_by.model

    @property
    def placement(self) -> Placement:
        return self._answered_by.placement

    def run(self, pixels: Pixels) -> Logits:
        """``Session.run`` on the best device that works. Raises DeviceUnavailable where all have failed and none has
        come back within ten seconds.
        """
        started = time.monotonic()
        while True:
            rung, session = self._best(_PATIENCE_S)
            try:
                logits = session.run(pixels)
            except DeviceError as error:
                self._drop(rung, error)
                self.frames_repeated += 1
                continue
            self._note_answer(session.session.device, len(pixels), time.monotonic() - started)
            self._answered_by, self._passed_at = session.session, session.passed_at
            if session.slowness is not None and any(other.session for other in self._rungs if other is not rung):
                self._drop(rung, session.slowness)
            return logits

    @property
    def canary_passed_at(self) -> float | None:
        """When the device that answered last had last passed a canary, in seconds since the epoch; see
        ``CheckedSession``.
        """
        return self._passed_at

    def listen(self, listener: Callable[[DeviceEvent], object]) -> Callable[[], None]:
        """Calls a function with every event, in the thread in which it happens. It is called at once with those that
        happened while nobody listened, as during the opening. Returns what ends that.
        """
        with self._listening:
            while self._unheard:
                listener(self._unheard.popleft())
            self._listeners.append(listener)

        def end() -> None:
            with self._listening:
                self._listeners.remove(listener)

        return end

    def left_out(self, name: str) -> str | LinnetError:
        """Why a device of the ladder is not used; empty where it is used or is still being opened."""
        rung = next(rung for rung in self._rungs if rung.name == name)
        return "" if rung.session or rung.opening else rung.reason

    def summary(self) -> dict[str, object]:
        """The events, how many frames a second device had to answer, how many may be wrong, how many each device
        answered, and how often each failed and was opened again.
        """
        return {
            "events": [asdict(event) for event in self.events],
            "frames_repeated": self.frames_repeated,
            "frames_recalled": self.frames_recalled,
            "frames_by_device": dict(self.frames_by_device),
            "device_failures": dict(self.failures),
            "device_restarts": dict(self.restarts),
        }

    def _release(self) -> None:
        """Ends the threads and closes every device."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_CLOSING_S)
                if thread.is_alive():
                    logger.warning("a device that was being opened was not released within %g s", _CLOSING_S)
        for session in (*self._failed, *(rung.session for rung in self._rungs)):
            if session is not None:
                session.close()

    def _start(self, start_s: float) -> None:
        """Opens the rungs and waits until each has been tried; after ``start_s`` seconds only until one works."""
        for thread in self._threads:
            thread.start()
        self._wait_for(lambda: not any(rung.opening for rung in self._rungs if rung.isolated), start_s)
        # In this thread: what an engine sets up in a thread may end with that thread.
        for rung in self._rungs:
            if not rung.isolated:
                self._open_first(rung)
        self._wait_for(lambda: any(rung.session for rung in self._rungs) or not any(r.opening for r in self._rungs))
        if self._fault is not None:
            raise self._fault
        with self._changed:
            for rung in self._rungs:
                if rung.opening and rung.session is None:
                    rung.reason = f"{rung.name}: not open after {start_s:g} s"
                    self._record(DeviceEvent(rung.name, "late", str(rung.reason), time.time()))

    def _open_first(self, rung: Rung) -> None:
        """The first try."""
        try:
            self._try(rung)
        except Exception as error:
            self._fault = error
            rung.down(error)
        with self._changed:
            rung.opening = False
            self._changed.notify_all()

    def _wait_for(self, condition: Callable[[], bool], within_s: float | None = None) -> None:
        with self._changed:
            self._changed.wait_for(condition, within_s)

    def _best(self, patience_s: float) -> tuple[Rung, CheckedSession]:
        """The first rung that works, and its session; waits for one to come back. Raises DeviceUnavailable."""
        if self._stop.is_set():
            raise DeviceError(Setting("device", self._name), got="run() after close()", expected="an open session")
        with self._changed:
            found = self._changed.wait_for(
                lambda: next(((rung, rung.session) for rung in self._rungs if rung.session is not None), None),
                patience_s,
            )
        if found is None:
            for event in self._unanswered:
                self._record(event)
            self._unanswered.clear()
            raise DeviceUnavailable(Setting("device", self._name), reasons=[rung.reason for rung in self._rungs])
        return found

    def _drop(self, rung: Rung, error: DeviceError) -> None:
        """Removes a failed device from the ladder until it is opened again."""
        with self._changed:
            if rung.session is not None:
                self._failed.append(rung.session)
            event = rung.down(error)
            self._changed.notify_all()
        self.failures[rung.name] += 1
        self.frames_recalled += event.frames
        self._unanswered.append(event)

    def _record(self, event: DeviceEvent) -> None:
        self.events.append(event)
        with self._listening:
            if not self._listeners:
                self._unheard.append(event)
            for listener in self._listeners:
                listener(event)

    def _note_answer(self, device: str, frames: int, seconds: float) -> None:
        self.frames_by_device[device] += frames
        for event in self._unanswered:
            self._record(replace(event, to=device, seconds=seconds))
            logger.warning("%s continues after %.3f s: %s", device, seconds, event.reason)
        self._unanswered.clear()

    def _try(self, rung: Rung) -> None:
        """Opens a rung. Its first failure is an event, and so is its return."""
        try:
            session = rung.open(self._stop)
        except DeviceError as error:
            with self._changed:
                first, event = rung.opening, rung.down(error)
            if first:
                self._record(event)
            if not first:
                logger.info("it still fails: %s", error)
            elif self._started:
                _log_left_out(event)
            return
        with self._changed:
            missed = bool(rung.reason)
            rung.up(session)
            self._changed.notify_all()
        if missed:
            self.restarts[rung.name] += 1
            self._record(DeviceEvent(rung.name, "back", session.verdict, time.time()))
            logger.warning("%s is back: %s", rung.name, session.verdict)
        else:
            logger.info("%s is ready: %s", rung.name, session.verdict)

    def _reopen(self) -> None:
        """Closes the sessions that failed, and reopens their devices when they are due."""
        while not self._stop.is_set():
            with self._changed:
                due = self._next_try()
                wait_s = max(0.0, due[1] - time.monotonic()) if due else None
                # A device whose first opening fails becomes due too.
                woken = self._changed.wait_for(partial(self._is_needed, due), wait_s)
                failed, self._failed = self._failed, []
            for session in failed:
                session.close()
            if due and not woken:
                self._restarts.append(time.monotonic())
                try:
                    self._try(due[0])
                except Exception as error:  # a file that is damaged now, an error in a plug-in: the stream continues
                    due[0].down(error)

    def _is_needed(self, due: tuple[Rung, float] | None) -> bool:
        return bool(self._failed) or self._stop.is_set() or self._next_try() != due

    def _next_try(self) -> tuple[Rung, float] | None:
        """The rung that is tried again next, and when: at most ``restarts_a_minute`` are."""
        down = [rung for rung in self._rungs if rung.session is None and not rung.opening]
        if not down:
            return None
        rung = min(down, key=lambda rung: rung.retry_at)
        full = len(self._restarts) == self._restarts.maxlen
        return rung, max(rung.retry_at, self._restarts[0] + _MINUTE_S) if full else rung.retry_at


def _log_left_out(event: DeviceEvent) -> None:
    logger.warning("%s is left out (%s): %s", event.device, event.what, event.reason)
