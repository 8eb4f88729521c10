"""An open bundle, the thread that uses it, and the bounded queue of requests in front of it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from linnet_devices.closable import Closable
from linnet_runtime.classifier import Classifier
from linnet_runtime.server.answers import Busy

Answer = TypeVar("Answer")
_CLOSING_S = 5.0
_Job = Callable[[], None]


class Lane(Closable):
    """One bundle and its thread. Every model has batch 1, so that requests are answered one after the other: to gather
    them would only make the first ones wait.
    """

    def __init__(self, open_classifier: Callable[[], Classifier], most_waiting: int) -> None:
        """Opens the bundle in the lane's own thread, because an engine may belong to the thread that set it up.

        Args:
            open_classifier: opens and checks the bundle.
            most_waiting: requests that may wait while one is answered.

        Raises:
            LinnetError: what ``open_classifier`` raises.
        """
        self._open_classifier = open_classifier
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._most = most_waiting + 1
        self._held = 0
        self._lock = threading.Lock()
        self._closing = False
        self.working_since: float | None = None
        opened: Future[Classifier] = Future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="linnet-lane", daemon=True)
        self._thread.start()
        try:
            self.classifier = opened.result()
        except BaseException:  # a signal: the thread closes the bundle once it is open
            self._jobs.put(None)
            self._thread.join(_CLOSING_S)
            raise
        self._opened()

    @property
    def held(self) -> int:
        """The requests that are held: the one that is answered and those that wait."""
        return self._held

    def refuse_if_full(self) -> None:
        """Raises Busy where ``submit`` would, so that a request is refused before its body is read."""
        if self._held >= self._most:
            raise self._busy()

    def submit(self, work: Callable[[Classifier], Answer]) -> Future[Answer]:
        """Queues work for the lane's thread. A future that is cancelled before its turn costs nothing.

        Raises:
            Busy: the queue is full, or the lane is closed.
        """
        future: Future[Answer] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                self._let_go()
                return
            try:
                answer = work(self.classifier)
            except Exception as error:
                self._let_go()
                future.set_exception(error)
            else:
                self._let_go()  # first: whoever has an answer may ask again
                future.set_result(answer)

        with self._lock:
            if self._closing or self._held >= self._most:
                raise self._busy()
            self._held += 1
            self._jobs.put(job)
        return future

    def _let_go(self) -> None:
        with self._lock:
            self._held -= 1

    def _busy(self) -> Busy:
        return Busy("the server is busy", got=f"{self._held} requests", expected=f"less than {self._most}")

    def _work(self, opened: Future[Classifier]) -> None:
        try:
            classifier = self._open_classifier()
        except BaseException as error:
            opened.set_exception(error)
            return
        with classifier:
            opened.set_result(classifier)
            while (job := self._jobs.get()) is not None:
                self.working_since = time.monotonic()
                job()
                self.working_since = None

    def _release(self) -> None:
        """Answers what is queued, then closes the bundle."""
        with self._lock:
            self._closing = True
            self._jobs.put(None)
        self._thread.join()
