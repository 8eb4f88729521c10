"""Devices: the CPU engines and the accelerators, behind one ``Device`` and one ``Session``.

The names below are the public interface. So are, for authors of devices, ``linnet_devices.api``, ``EngineSession`` in
``linnet_devices.session``, and ``linnet_devices.testing``. The other modules are internal, and say so.
"""

import os

from linnet_devices.api import (
    Device,
    Model,
    OpenOptions,
    Placement,
    Probe,
    Session,
    TensorSpec,
)
from linnet_devices.errors import DeviceError, DeviceUnavailable, LinnetError
from linnet_devices.registry import load_device, probe_all

# From its import on, ONNX Runtime 1.31 would send events to its maker and keep an identifier of the machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Device",
    "DeviceError",
    "DeviceUnavailable",
    "LinnetError",
    "Model",
    "OpenOptions",
    "Placement",
    "Probe",
    "Session",
    "TensorSpec",
    "load_device",
    "probe_all",
]
