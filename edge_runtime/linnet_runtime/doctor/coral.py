"""The chain of a Coral: the accelerator on USB or PCIe, its driver, the permission, libedgetpu and the engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from linnet_devices.presets import EDGETPU, EDGETPU_LIBRARY
from linnet_runtime.doctor.libraries import check_library, find_library
from linnet_runtime.doctor.links import Link, absent, broken, ok, permission, warning
from linnet_runtime.doctor.packages import litert_engine
from linnet_runtime.doctor.system import System

# Before and after libedgetpu loads the firmware.
_USB_IDS = ("1a6e:089a", "18d1:9302")
_PCI_ID = ("0x1ac1", "0x089a")
_USB_3 = 5000  # Mbit/s
_NO_RULE = "install libedgetpu1-std, which has the udev rule, and plug it in again"
_NO_DRIVER = "sudo apt install gasket-dkms, then sudo modprobe apex, and restart where Secure Boot refuses it"


def check_coral(system: System) -> Iterator[Link]:
    """From the hardware to the engine."""
    usb = [path.parent for path in system.glob("/sys/bus/usb/devices/*/idVendor") if _usb_id(system, path.parent)]
    pci = [path.parent for path in system.glob("/sys/bus/pci/devices/*/vendor") if _is_pci(system, path.parent)]
    nodes = system.glob("/dev/apex_*")
    if not usb and not pci and not nodes:
        here = find_library(system, EDGETPU_LIBRARY)
        fix = "plug it into a USB 3 port, with the cable that came with it" if here else ""
        yield absent(
            "hardware", f"no {' or '.join(_USB_IDS)} on USB, no {_PCI_ID[0][2:]}:{_PCI_ID[1][2:]} on PCIe", fix
        )
        return
    for device in usb:
        yield from _check_usb(system, device)
    if pci or nodes:
        yield from _check_pci(system, nodes)
    yield from check_library(
        system, EDGETPU_LIBRARY, EDGETPU.fix, "tflite_plugin_create_delegate", "edgetpu_list_devices"
    )
    yield litert_engine(system)


def _usb_id(system: System, device: Path) -> str:
    """The device's ids where they are an Edge TPU's."""
    ids = f"{system.read(device / 'idVendor')}:{system.read(device / 'idProduct')}"
    return ids if ids in _USB_IDS else ""


def _is_pci(system: System, device: Path) -> bool:
    return (system.read(device / "vendor"), system.read(device / "device")) == _PCI_ID


def _check_usb(system: System, device: Path) -> Iterator[Link]:
    speed = system.read(device / "speed")
    found = f"{_usb_id(system, device)} on USB at {speed} Mbit/s"
    if speed.isdecimal() and int(speed) < _USB_3:
        yield warning(
            "hardware",
            found,
            "use a USB 3 port and cable: on USB 2 the transfer of a picture takes longer than the inference",
        )
    else:
        yield ok("hardware", found)
    bus, number = (system.read(device / name) for name in ("busnum", "devnum"))
    node = system.path(f"/dev/bus/usb/{bus.zfill(3)}/{number.zfill(3)}")
    yield (
        permission(system, node, _NO_RULE)
        if node.exists()
        else broken(
            "permission", f"no {system.name(node)}", "pass /dev/bus/usb to the container or the virtual machine"
        )
    )
    rules = "".join(system.read(path) for folder in ("etc", "usr/lib", "lib") for path in _rules(system, folder))
    lacking = [ids for ids in _USB_IDS if ids.partition(":")[0] not in rules]
    if lacking and os.geteuid() != 0:  # with its firmware it reconnects under the second id
        yield broken("udev", f"no rule for {' and '.join(lacking)}", _NO_RULE)


def _rules(system: System, folder: str) -> list[Path]:
    return system.glob(f"/{folder}/udev/rules.d/*.rules")


def _check_pci(system: System, nodes: list[Path]) -> Iterator[Link]:
    yield ok("hardware", "Edge TPU on PCIe")
    if not nodes:
        loaded = [name for name in ("gasket", "apex") if system.path(f"/sys/module/{name}").exists()]
        having = f" although {' and '.join(loaded)} are loaded" if loaded else ": gasket and apex are not loaded"
        yield broken("driver", f"no /dev/apex_0{having}", _NO_DRIVER)
    for node in nodes:
        rule = """echo 'SUBSYSTEM=="apex", MODE="0660", GROUP="apex"' | sudo tee /etc/udev/rules.d/65-apex.rules"""
        yield permission(system, node, f"{rule}, then sudo groupadd apex, and restart")
