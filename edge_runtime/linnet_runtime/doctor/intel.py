"""The chains of Intel's NPU and GPU: hardware, driver, permission, Level Zero or OpenCL, and OpenVINO."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linnet_runtime.doctor.libraries import check_library
from linnet_runtime.doctor.links import Link, absent, broken, ok, permission
from linnet_runtime.doctor.packages import openvino_engine
from linnet_runtime.doctor.system import System

_INTEL = "0x8086"
_ACCELERATOR = "0x1200"  # PCI's class of processing accelerators
_DRIVER = "install Intel's linux-npu-driver (github.com/intel/linux-npu-driver), which has the library"
_FIRMWARE = "install its firmware (linux-firmware, or linux-npu-driver's own), then look for intel_vpu in dmesg"
_RULE = 'SUBSYSTEM=="accel", GROUP="render", MODE="0660"'
_RENDER = f"echo '{_RULE}' | sudo tee /etc/udev/rules.d/10-intel-vpu.rules, and restart"
_OPENCL = "sudo apt install intel-opencl-icd"


def check_npu(system: System) -> Iterator[Link]:
    """From the hardware to the engine."""
    devices = [
        path.parent
        for path in system.glob("/sys/bus/pci/devices/*/class")
        if system.read(path).startswith(_ACCELERATOR) and system.read(path.parent / "vendor") == _INTEL
    ]
    if not devices:
        yield absent("hardware", "no Intel NPU on PCI")
        return
    yield ok("hardware", f"Intel NPU {system.read(devices[0] / 'device')} on PCI")
    nodes = system.glob("/dev/accel/accel*")
    if not system.path("/sys/module/intel_vpu").exists():
        kernel = system.read("/proc/sys/kernel/osrelease")
        yield broken(
            "driver", f"intel_vpu is not loaded in Linux {kernel}", "Linux 6.8 or newer, then sudo modprobe intel_vpu"
        )
    elif not nodes:
        yield broken("driver", "intel_vpu is loaded, but there is no /dev/accel/accel0", _FIRMWARE)
    else:
        yield ok("driver", "intel_vpu")
    for node in nodes:
        yield permission(system, node, _RENDER)
    yield from check_library(system, "libze_loader.so.1", "sudo apt install libze1")
    yield from check_library(system, "libze_intel_npu.so.1", _DRIVER)
    yield openvino_engine(system)


def check_gpu(system: System) -> Iterator[Link]:
    """From the hardware to the engine."""
    cards = [path for path in system.glob("/sys/class/drm/renderD*") if _is_intels(system, path)]
    if not cards:
        yield absent("hardware", "no Intel GPU with a render node")
        return
    for card in cards:
        node = system.path(f"/dev/dri/{card.name}")
        yield ok("hardware", f"Intel GPU {system.read(card / 'device' / 'device')}")
        if node.exists():
            yield permission(system, node, "sudo apt install udev, and restart")
        else:
            yield broken(
                "driver",
                f"no {system.name(node)}",
                "pass /dev/dri to the container, or look for i915 and xe in dmesg",
            )
    yield from check_library(system, "libOpenCL.so.1", _OPENCL)
    vendors = [path.name for path in system.glob("/etc/OpenCL/vendors/*.icd") if "intel" in path.name.lower()]
    yield (ok("OpenCL", vendors[0]) if vendors else broken("OpenCL", "no Intel driver in /etc/OpenCL/vendors", _OPENCL))
    yield openvino_engine(system)


def _is_intels(system: System, card: Path) -> bool:
    return system.read(card / "device" / "vendor") == _INTEL
