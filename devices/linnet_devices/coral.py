"""Coral's Edge TPU, on USB or PCIe, through libedgetpu: ``coral``, ``coral:usb``, ``coral:usb:1``, ``coral:pci:0``.
Internal.

A USB fault makes libedgetpu abort the process. Its session therefore runs in an ``IsolatedSession``.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import replace

from linnet_devices.api import DeviceError, Model, OpenOptions, Probe, Setting
from linnet_devices.delegate import ExternalDelegate
from linnet_devices.litert import LiteRTSession, operation_names
from linnet_devices.presets import EDGETPU, EDGETPU_OP

_NAME = re.compile(r"coral(?::(?P<device>(?P<bus>usb|pci)(?::(?P<index>\d+))?))?")
_BUSES = ("pci", "usb")  # in the order of edgetpu_c.h's enum edgetpu_device_type


class Coral(ExternalDelegate):
    """An Edge TPU: any one, any on a bus, or the N-th on a bus, counted from 0 as in libedgetpu."""

    formats = ()

    def __init__(self, name: str = "coral") -> None:
        found = _NAME.fullmatch(name)
        if found is None:
            raise DeviceError(
                Setting("device"), got=repr(name), expected="coral, coral:usb, coral:usb:N, coral:pci or coral:pci:N"
            )
        self._bus, self._index = found["bus"], int(found["index"] or 0)
        super().__init__(name, EDGETPU, {"device": found["device"]} if found["device"] else {})

    def probe(self) -> Probe:
        found = super().probe()
        if not found.available:
            return found
        buses = _list_buses(self.library()[1])
        suitable = [bus for bus in buses if self._bus in (None, bus)]
        if len(suitable) <= self._index:
            seen = f"Edge TPUs on {', '.join(buses)}" if buses else "no Edge TPU"
            return Probe(False, f"libedgetpu finds {seen}", self.preset.fix)
        return replace(found, details=found.details | {"hardware": f"Edge TPU on {', '.join(suitable)}"})

    def open(self, model: Model, options: OpenOptions) -> LiteRTSession:
        if EDGETPU_OP not in operation_names(model):
            raise DeviceError(
                f"{model.path} on {self.name}",
                got="a model that was not compiled for the Edge TPU: it would run on the CPU",
                expected=f"one with {EDGETPU_OP}",
                fix=f"edgetpu_compiler {model.path}",
            )
        return super().open(model, options)


class _Board(ctypes.Structure):
    """edgetpu_c.h's struct edgetpu_device."""

    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def _list_buses(library: ctypes.CDLL) -> list[str]:
    """The bus of each Edge TPU, in libedgetpu's order."""
    library.edgetpu_list_devices.restype = ctypes.POINTER(_Board)
    n = ctypes.c_size_t()
    boards = library.edgetpu_list_devices(ctypes.byref(n))
    buses = [_BUSES[boards[i].type] for i in range(n.value)]
    library.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Board)]
    library.edgetpu_free_devices(boards)
    return buses
