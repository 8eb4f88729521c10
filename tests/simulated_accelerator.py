"""A plug-in's devices that play accelerators: LiteRT on the CPU, and whatever fault a test asks for, when it asks.

A test writes the fault's name into the file NAME of the folder SIMULATED_FAULTS; the next opening or inference has it,
and the further ones, unless "once" comes after it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from linnet_devices.api import DeviceError, Placement, Probe
from linnet_devices.litert import LiteRT, LiteRTSession

SLOW_S = 2.2


class First(LiteRT):
    name = "first"
    isolated = True

    def probe(self):
        if _asked(self.name) == "absent":
            return Probe(False, "no such board on the bus", "plug it in")
        return super().probe()

    def open(self, model, options):
        with Path(os.environ["SIMULATED_FAULTS"], f"{self.name}.opened").open("a") as log:
            log.write(f"{os.getpid()}\n")
        fault = _fault(self.name)
        if fault == "tell":
            raise DeviceError("options", got=options)
        _misbehave(fault)
        session = SimulatedSession(self.name, model, options)
        if fault == "partly":
            session.placement = Placement(self.name, 1, 3, ("ADD: CPU", "ADD: CPU"))
        return session


class Second(First):
    name = "second"


class SimulatedSession(LiteRTSession):
    def run(self, pixels):
        fault = _fault(self.device)
        _misbehave(fault)
        logits = super().run(pixels)
        return {"garbage": logits[:, ::-1], "shape": logits[:, :1]}.get(fault, logits)


def _fault(name):
    """The fault to have now; one that is asked for once is then over."""
    fault, once, _ = _asked(name).partition(" once")
    if once:
        _file(name).unlink()
    return fault


def _asked(name):
    return _file(name).read_text() if _file(name).exists() else ""


def _file(name):
    return Path(os.environ["SIMULATED_FAULTS"], name)


def _misbehave(fault):
    if fault == "abort":
        print("F driver/usb.cc:857] USB transfer error 2", file=sys.stderr, flush=True)
        print("INFO: a greeting that says nothing", file=sys.stderr, flush=True)
        os.abort()
    elif fault == "segmentation fault":
        ctypes.string_at(0)
    elif fault == "exit":
        os._exit(7)
    elif fault == "hang":
        ctypes.PyDLL(None).pause()  # with the interpreter's lock held, as some libraries do
    elif fault == "raise":
        raise RuntimeError("the firmware\nsays no")
    elif fault == "slow":
        time.sleep(SLOW_S)
    elif fault == "chatty":
        print("x" * 200_000, flush=True)
    elif fault == "interrupt":
        os.kill(os.getppid(), signal.SIGINT)
