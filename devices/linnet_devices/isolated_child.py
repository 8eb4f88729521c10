"""The child process of an ``IsolatedSession``: it opens one session and runs it on the pixels in shared memory.
Internal.

It is started as ``python -m linnet_devices.isolated_child CONTROL MEMORY LIFE`` with three inherited file
descriptors: the channel of messages, the pixels and logits, and a pipe that closes when the parent process ends.
"""

from __future__ import annotations

import mmap
import os
import resource
import sys
from multiprocessing.connection import Connection
from typing import Literal

import msgspec
import numpy as np

from linnet_devices.api import (
    DeviceError,
    DeviceUnavailable,
    LinnetError,
    Logits,
    Model,
    OpenOptions,
    Pixels,
    Placement,
    Session,
)
from linnet_devices.errors import Fix, Setting
from linnet_devices.lifeline import end_with
from linnet_devices.registry import load_device
from linnet_devices.session import InputAdapter, check_placement

RUN, DONE = b"run", b"done"  # the pixels are in the memory; the logits are


class Opening(msgspec.Struct, frozen=True):
    """The first message to the child: what to open."""

    device: str
    model: Model
    options: OpenOptions


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The child's answer: the session's device and placement."""

    device: str
    placement: Placement


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The child's answer where opening or a run failed: the parts of a LinnetError."""

    kind: Literal["unavailable", "error"]
    what: str | Setting
    got: str | None = None
    expected: str | None = None
    fix: Fix | None = None

    @classmethod
    def of(cls, error: Exception, device: str) -> Failed:
        if not isinstance(error, LinnetError):
            return cls("error", f"device {device}", f"{type(error).__name__}: {error}")
        kind: Literal["unavailable", "error"] = "unavailable" if isinstance(error, DeviceUnavailable) else "error"
        got, expected = (None if part is None else str(part) for part in (error.got, error.expected))
        return cls(kind, error.what, got, expected, error.fix)

    def error(self) -> DeviceError:
        """The error as the parent raises it."""
        kind = DeviceUnavailable if self.kind == "unavailable" else DeviceError
        return kind(self.what, got=self.got, expected=self.expected, fix=self.fix)


def map_memory(memory: int, model: Model) -> tuple[Pixels, Logits]:
    """uint8 [1, H, W, 3] and float32 [1, classes] in the memory of a file descriptor, which is made large enough."""
    pixels, logits = (1, *InputAdapter(model.input).shape), (1, model.output.classes)
    both = np.dtype([("pixels", np.uint8, pixels), ("logits", np.float32, logits)], align=True)
    os.ftruncate(memory, both.itemsize)
    record = np.frombuffer(mmap.mmap(memory, both.itemsize), both)
    return record["pixels"][0], record["logits"][0]


def main() -> None:
    """Answers the parent process until it closes the channel."""
    control_fd, memory, life = map(int, sys.argv[1:])
    end_with(life)
    # An accelerator's abort is expected here: no core file on an SD card, and no wait until it is written.
    # A limit of 1 byte, unlike 0, also keeps the kernel from piping the core to a program.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard == resource.RLIM_INFINITY else min(1, hard), hard))
    control = Connection(control_fd)
    opening = msgspec.json.decode(control.recv_bytes(), type=Opening)
    try:
        session = _open(opening)
    except Exception as error:  # a plug-in may raise anything, and the parent reports its reason
        control.send_bytes(msgspec.json.encode(Failed.of(error, opening.device)))
        return
    with session:
        pixels, logits = map_memory(memory, opening.model)
        control.send_bytes(msgspec.json.encode(Opened(session.device, session.placement)))
        while _asked(control):
            try:
                _run(session, pixels, logits)
                answer = DONE
            except Exception as error:
                answer = msgspec.json.encode(Failed.of(error, opening.device))
            control.send_bytes(answer)


def _open(opening: Opening) -> Session:
    device = load_device(opening.device)
    probe = device.probe()
    if not probe.available:
        raise DeviceUnavailable(f"{opening.device}: {probe.reason}", fix=probe.fix)
    return check_placement(device.open(opening.model, opening.options), opening.options)


def _asked(control: Connection) -> bool:
    """Waits for the next request; False when the parent has closed the channel."""
    try:
        control.recv_bytes()
    except EOFError:
        return False
    return True


def _run(session: Session, pixels: Pixels, logits: Logits) -> None:
    found = session.run(pixels)
    if found.shape != logits.shape:  # NumPy would broadcast one number over all classes
        raise DeviceError(f"logits of {session.device}", got=list(found.shape), expected=list(logits.shape))
    logits[:] = found


if __name__ == "__main__":
    main()
