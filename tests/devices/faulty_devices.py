"""Devices of a plug-in: ``right`` is one that works, and each of the others does one thing wrong.

``test_conformance_finds_faults.py`` installs this module as a plug-in and runs the conformance suite on each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from linnet_devices.api import DeviceError, DeviceUnavailable, Placement, Probe
from linnet_devices.ort import OnnxRuntimeCpu, OnnxSession


class Right(OnnxRuntimeCpu):
    """ONNX Runtime under the plug-in's own name."""

    name = "right"
    session: type[OnnxSession] = OnnxSession

    def open(self, model, options):
        session = super().open(model, options)
        session.__class__ = self.session
        return session


def device(name: str, **methods: Any) -> type[Right]:
    """A device under that name whose session has these methods or attributes."""
    session = type("FaultySession", (OnnxSession,), methods)
    return type("Faulty", (Right,), {"name": name, "session": session})


_infer, _run, _close = OnnxSession._infer, OnnxSession.run, OnnxSession.close

SwapsRedAndBlue = device("swaps", _infer=lambda self, x: _infer(self, np.ascontiguousarray(x[..., ::-1])))
HalvesPixels = device("halves", _infer=lambda self, x: _infer(self, x // 2))
RunsTheFirstOnly = device("first", run=lambda self, pixels: _run(self, pixels[:1]))
AsksNothingOfPixels = device(
    "anything", run=lambda self, pixels: _run(self, np.resize(pixels, (len(pixels), 24, 32, 3)).astype(np.uint8))
)
RunsClosed = device("closed", close=lambda self: None)
NeverWarns = device("silent", __del__=lambda self: None)
CountsNothing = device("blind", placement=property(lambda self: Placement("blind", 0, 0), lambda self, value: None))


def _write_into_pixels(self, pixels):
    logits = _run(self, pixels)
    pixels[...] = 0
    return logits


def _one_buffer(self, pixels):
    """The same memory for every result of a batch size."""
    buffers = self.__dict__.setdefault("buffers", {})
    logits = _run(self, pixels)
    buffer = buffers.setdefault(len(logits), np.empty_like(logits))
    buffer[:] = logits
    return buffer


def _remembering(self, pixels):
    self.runs = getattr(self, "runs", 0) + 1
    return _run(self, pixels) + np.float32(self.runs * 1e-4)


def _close_once(self):
    if not self._open:
        raise DeviceError("closed already")
    _close(self)


WritesIntoPixels = device("writes", run=_write_into_pixels)
ReusesItsResult = device("reuses", run=_one_buffer)
Remembers = device("remembers", run=_remembering)
ClosesOnce = device("once", close=_close_once)


class LetsErrorsThrough(Right):
    """An engine's own errors reach the user."""

    name = "raw"

    def open(self, model, options):
        try:
            return super().open(model, options)
        except DeviceError as error:
            raise (error.__cause__ or error) from None


class CallsItselfAnother(Right):
    name = "another"


class IsNotHere(Right):
    """The hardware is not plugged in."""

    name = "absent"

    def probe(self):
        return Probe(False, "no such board on the bus", "plug it in")

    def open(self, model, options):
        raise DeviceUnavailable("absent", got="no such board on the bus", fix="plug it in")


class SaysNoFix(IsNotHere):
    """The same, and the user is left with it."""

    name = "nofix"

    def probe(self):
        return Probe(False, "not found")
