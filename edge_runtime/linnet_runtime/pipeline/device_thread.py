"""The thread that runs the model. It takes a prepared frame, runs the model and hands the outputs over, and nothing
else: while the results are decided and delivered, the device computes the next frame. Internal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import NamedTuple

from linnet_runtime.classifier import Classifier, Outputs
from linnet_runtime.pipeline.camera import PreparedFrame, PreparedPart
from linnet_runtime.pipeline.mailbox import Mailbox
from linnet_runtime.results import Event

_AHEAD = 2  # a consumer that the system makes wait does not make the device wait


class Inference(NamedTuple):
    """What the thread hands over."""

    events: list[Event]
    """What happened before it."""
    frame: PreparedFrame | None = None
    """None where there are only events."""
    part: PreparedPart | None = None
    """The region of the frame; None where the frame was too old."""
    outputs: Outputs | None = None
    """What the model gave for it."""
    taken_at: float = 0.0
    """When the device took it, on the monotonic clock."""


class DeviceThread:
    """Runs the model on the frames of a mailbox, in their order."""

    def __init__(self, mailbox: Mailbox[PreparedFrame, Event], classifier: Classifier, *, keeps_all: bool) -> None:
        """Starts the thread.

        Args:
            mailbox: of prepared frames and events.
            classifier: stays open.
            keeps_all: every frame matters: the device computes ahead of the consumer. Else it takes the newest frame
                when the consumer asks for it.
        """
        self._mailbox = mailbox
        self._classifier = classifier
        self._stopped = False
        self._wanted: SimpleQueue[None] = SimpleQueue()
        self._done: SimpleQueue[Inference | BaseException | None] = SimpleQueue()
        for _ in range(_AHEAD if keeps_all else 0):
            self._wanted.put(None)
        self._thread = threading.Thread(target=self._run, name="linnet-device", daemon=True)
        self._thread.start()

    def next(self) -> Inference | None:
        """Waits for the next inference; None at the end. Raises what the mailbox or the device raised."""
        self._wanted.put(None)
        done = self._done.get()
        if isinstance(done, BaseException):
            raise done
        return done

    def close(self) -> None:
        """Ends the thread, after its inference. The mailbox must be closed."""
        self._stopped = True
        self._wanted.put(None)
        self._thread.join()

    def _run(self) -> None:
        inferences = self._inferences()
        while self._is_wanted():
            self._done.put(_next_or_error(inferences))

    def _is_wanted(self) -> bool:
        self._wanted.get()
        return not self._stopped

    def _inferences(self) -> Iterator[Inference]:
        while (taken := self._mailbox.get()) is not None:
            events, frame = taken
            del taken
            yield from self._of_frame(events, frame)
            del frame  # the consumer has it: whoever lets go of it last frees a megabyte, which takes a while

    def _of_frame(self, events: list[Event], frame: PreparedFrame | None) -> Iterator[Inference]:
        if frame is None:
            yield Inference(events)
            return
        for part in frame.parts:
            if frame.is_too_old():
                yield Inference(events, frame)
                return
            taken_at = time.monotonic()
            outputs = self._classifier.run_prepared(part.prepared)
            yield Inference(events + self._mailbox.first_notes(), frame, part, outputs, taken_at)
            events = []


def _next_or_error(inferences: Iterator[Inference]) -> Inference | BaseException | None:
    """The next inference, None at the end, or what the mailbox or the device raised."""
    try:
        return next(inferences, None)
    except BaseException as error:  # raised again in the thread of the consumer
        return error
