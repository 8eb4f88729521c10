"""The chains of TensorFlow Lite's external delegates: the device file, the library and what the library needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linnet_devices.presets import PRESETS
from linnet_runtime.doctor.libraries import check_library, find_library
from linnet_runtime.doctor.links import Link, absent, ok, permission
from linnet_runtime.doctor.packages import litert_engine
from linnet_runtime.doctor.system import System

_ENTRY = "tflite_plugin_create_delegate"
# The device files of the drivers. Mesa's and Neutron's are /dev/accel/accel0, which other drivers use too.
_NODES = {
    "vx": "/dev/galcore",
    "ethosu": "/dev/ethosu*",
    "armnn": "/dev/mali*",
    "qnn": "/dev/fastrpc-cdsp*",
}


def check_delegates(system: System) -> Iterator[Link]:
    """Each preset of which a part is present, in the order of the table; the links begin with the preset's name."""
    found = False
    for name, preset in PRESETS.items():
        nodes = system.glob(_NODES[name]) if name in _NODES else []
        here = [library for library in preset.libraries if find_library(system, library)]
        if not nodes and not here:
            continue
        found = True
        for link in _check(system, name, nodes, here or list(preset.libraries), preset.fix):
            yield Link(f"{name} {link.link}", link.state, link.found, link.fix)
    if not found:
        yield absent("libraries", f"none of {', '.join(p.libraries[0] for p in PRESETS.values() if p.libraries)}")
    else:
        yield litert_engine(system)


def _check(system: System, name: str, nodes: list[Path], libraries: list[str], fix: str) -> Iterator[Link]:
    if nodes:
        yield ok("hardware", system.name(nodes[0]))
        yield permission(
            system, nodes[0], f"add a udev rule that assigns {system.name(nodes[0])} to one of your groups"
        )
    elif name in _NODES:
        yield absent(
            "hardware",
            f"no {_NODES[name].rstrip('*')}",
            "boot the board vendor's kernel, which has the accelerator's driver",
        )
    yield from check_library(system, libraries[0], fix, _ENTRY)
