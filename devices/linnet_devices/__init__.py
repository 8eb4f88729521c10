"""Devices: the CPU's engines and the accelerators, behind one ``Device`` and one ``Session``."""

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
