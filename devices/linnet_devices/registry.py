"""The devices by name: literal tables, groups of names in order of preference, and the entry points of plug-ins.
Internal.

A plug-in registers a class in the entry point group ``linnet.devices``; the group is read only for a name that is
not in the tables.
"""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name

from linnet_devices.api import Device, DeviceError, DeviceUnavailable, Probe, Setting
from linnet_devices.errors import nearest
from linnet_devices.plugin import PLUGIN_FIX, make_from_plugin
from linnet_devices.presets import PRESETS

ENTRY_POINT_GROUP = "linnet.devices"
_MEMBERS = ("name", "formats", "isolated", "targets", "probe", "open")  # of the protocol Device


@dataclass(frozen=True)
class Entry:
    """A device of the table."""

    target: str
    """Where its class is: ``"module:Class"``."""
    hint: str
    """The command that installs what the module imports."""
    summary: str
    nodes: tuple[str, ...] = ()
    """Patterns of its driver's device files. Where none of them exists the device is not available, and its engine does
    not have to be imported to find that out."""


DEVICES = {
    "cpu:litert": Entry("linnet_devices.litert:LiteRT", "pip install 'linnet[litert]'", "TensorFlow Lite on the CPU"),
    "cpu:onnx": Entry("linnet_devices.ort:OnnxRuntimeCpu", "pip install 'linnet[onnx]'", "ONNX Runtime on the CPU"),
    "cpu:openvino": Entry(
        "linnet_devices.openvino:OpenVinoCpu", "pip install 'linnet[openvino]'", "OpenVINO on the CPU"
    ),
    "coral": Entry("linnet_devices.coral:Coral", "pip install 'linnet[litert]'", "Coral's Edge TPU"),
    "npu": Entry(
        "linnet_devices.openvino:OpenVinoNpu",
        "pip install 'linnet[openvino]'",
        "Intel's NPU through OpenVINO",
        ("/dev/accel/accel*",),
    ),
    "gpu": Entry(
        "linnet_devices.openvino:OpenVinoGpu",
        "pip install 'linnet[openvino]'",
        "Intel's GPU through OpenVINO",
        ("/dev/dri/renderD*", "/dev/dxg"),  # the second is Windows' for its Linux
    ),
    "tflm": Entry(
        "linnet_devices.tflm:Tflm",
        "pip install --pre tflite-micro",
        "TensorFlow Lite for Microcontrollers, as a microcontroller runs it",
    ),
    "fake": Entry("linnet_devices.fake:Fake", "", "simulated, for tests and rehearsals: reads no model file"),
}

# Prefixes of device names: the class or function is called with the whole name.
FAMILIES = {
    "coral:": Entry(
        "linnet_devices.coral:Coral", "pip install 'linnet[litert]'", "coral:usb, coral:usb:1, coral:pci:0"
    ),
    "delegate:": Entry(
        "linnet_devices.delegate:named",
        "pip install 'linnet[litert]'",
        "a preset or /path/lib.so?option=value: TensorFlow Lite's external delegates",
    ),
    "ort:": Entry("linnet_devices.ort:OnnxRuntimeProvider", "pip install 'linnet[onnx]'", "ONNX Runtime's providers"),
}

_CPU = ("cpu:litert", "cpu:onnx", "cpu:openvino")
# A group's devices are tried in this order: the first that is available and reads a model of the bundle is used. With
# "auto" it also has to pass its canary.
GROUPS = {
    "cpu": _CPU,
    "auto": (
        "coral",
        "delegate:ethosu",
        "delegate:neutron",
        "delegate:vx",
        "delegate:qnn",
        "delegate:teflon",
        "npu",
        "gpu",
        *_CPU,
    ),
}

# What people call a device, where no spelling leads to Linnet's name for it.
_OTHER_NAMES = {
    "edgetpu": "coral",
    "tpu": "coral",
    "usb": "coral:usb",
    "pci": "coral:pci",
    "pcie": "coral:pci",
    "tflite": "cpu:litert",
    "litert": "cpu:litert",
    "xnnpack": "cpu:litert",
    "ort": "cpu:onnx",
    "onnxruntime": "cpu:onnx",
    "vpu": "npu",
    "cuda": "ort:CUDA",
    "tensorrt": "ort:Tensorrt",
    "hexagon": "ort:QNN",
    "qnn": "ort:QNN",
    "htp": "ort:QNN",
    "mali": "delegate:armnn",
    "micro": "tflm",
    "tflitemicro": "tflm",
}


def expand(name: str) -> tuple[str, ...]:
    """The devices that a name stands for, best first: ``"cpu"`` is the three CPU engines."""
    return GROUPS.get(name, (name,))


def load_device(name: str) -> Device:
    """The device of that name.

    Raises:
        DeviceUnavailable: its package is not installed; the error says what to install.
        DeviceError: no device has that name; the error lists the known names and suggests the nearest.
    """
    family = "".join(name.partition(":")[:2])
    entry = DEVICES.get(name) or FAMILIES.get(family)
    if entry is None:
        return _load_plugin(name)
    try:
        factory: Callable[..., Device] = resolve_name(entry.target)
    except ImportError as error:
        raise DeviceUnavailable(f"device {name}", got=str(error), fix=entry.hint) from error
    return factory() if name in DEVICES else factory(name)


def probe_all() -> dict[str, Probe]:
    """Whether each device of ``known_names`` is available, by name. Never raises."""
    names = [name for name in known_names() if name not in GROUPS]
    return {name: probe(name) for name in names}


def probe(name: str) -> Probe:
    """Whether the device of that name is available. Never raises."""
    nodes = DEVICES[name].nodes if name in DEVICES and sys.platform == "linux" else ()
    if nodes and not any(map(glob.glob, nodes)):
        return Probe(False, f"no {' and no '.join(nodes)}: no such hardware, or no driver for it", "linnet doctor")
    try:
        return load_device(name).probe()
    except DeviceError as error:
        return Probe(False, _one_line(str(error.got or error)), str(error.fix or ""))
    except Exception as error:  # an error in a plug-in must not hide the other devices
        return Probe(False, _one_line(f"{type(error).__name__}: {error}"), PLUGIN_FIX)


def known_names() -> list[str]:
    """Every device name, except those that continue a prefix of ``FAMILIES`` freely."""
    return [*GROUPS, *DEVICES, *(f"delegate:{name}" for name in PRESETS), *(point.name for point in _plugins())]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _plugins() -> tuple[EntryPoint, ...]:
    """The plug-ins' entry points, without those that use a name of the tables."""
    return tuple(
        point
        for point in entry_points(group=ENTRY_POINT_GROUP)
        if point.name not in {*GROUPS, *DEVICES} and not point.name.startswith(tuple(FAMILIES))
    )


def _load_plugin(name: str) -> Device:
    for point in _plugins():
        if point.name == name:
            device: Device = make_from_plugin(point, "device", _MEMBERS, DeviceUnavailable)
            return device
    names = known_names()
    other = name.lower().replace("-", "").replace("_", "")
    preset = f"delegate:{other}" if other in PRESETS else None
    found = _OTHER_NAMES.get(other) or preset or next(iter(nearest(name, names)), None)
    raise DeviceError(
        Setting("device"),
        got=repr(name),
        expected="one of " + ", ".join(names),
        fix=Setting("device", found) if found else "linnet devices lists the available ones",
    )
