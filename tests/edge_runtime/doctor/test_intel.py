"""The way to Intel's NPU and GPU."""

from __future__ import annotations

import pytest

from edge_runtime.doctor.made_system import FakeRoot, group_of, somebody
from linnet_runtime.doctor import CHAINS


def build_in_npu(root: FakeRoot) -> None:
    files = {"class": "0x120000", "vendor": "0x8086", "device": "0x7d1d"}
    root.files("/sys/bus/pci/devices/0000:00:0b.0", **files)
    root.files("/sys/bus/pci/devices/0000:00:02.0", **files | {"class": "0x030000"})
    root.write("/proc/sys/kernel/osrelease", "6.2.0")


def test_an_npu_without_its_driver(root: FakeRoot) -> None:
    build_in_npu(root)
    links = root.links("npu")
    assert links["hardware"].found == "Intel NPU 0x7d1d on PCI"
    assert links["driver"].found == "intel_vpu is not loaded in Linux 6.2.0"
    assert links["driver"].fix == "Linux 6.8 or newer, then sudo modprobe intel_vpu"


def test_an_npu_whose_driver_has_no_node_lacks_its_firmware(root: FakeRoot) -> None:
    build_in_npu(root)
    root.write("/sys/module/intel_vpu/version")
    link = root.links("npu")["driver"]
    assert link.found == "intel_vpu is loaded, but there is no /dev/accel/accel0"
    assert "firmware" in link.fix


@pytest.mark.parametrize(
    ("mode", "group", "fix"),
    [
        (0o060, "render", "sudo usermod -aG render $USER, and log in again"),
        (0o000, "root", 'echo \'SUBSYSTEM=="accel", GROUP="render", MODE="0660"\' | sudo tee'),
    ],
)
def test_an_npu_is_for_the_group_render(root: FakeRoot, mode: int, group: str, fix: str) -> None:
    build_in_npu(root)
    root.write("/sys/module/intel_vpu/version")
    root.node("/dev/accel/accel0", mode)
    group_of(root, "/dev/accel/accel0", group)
    with somebody():
        link = root.links("npu")["permission"]
    assert link.state == "broken"
    assert link.fix.startswith(fix)


def test_an_npu_that_is_well(root: FakeRoot) -> None:
    build_in_npu(root)
    root.write("/sys/module/intel_vpu/version")
    root.node("/dev/accel/accel0")
    for library in ("libze_loader.so.1", "libze_intel_npu.so.1"):
        root.library(library)
    root.package("openvino", "2026.4.1")
    assert {link.state for link in root.links("npu").values()} == {"ok"}


def test_an_npu_lacks_level_zero_and_openvino(root: FakeRoot) -> None:
    build_in_npu(root)
    found = [(link.link, link.found) for link in CHAINS["npu"](root.system) if link.state == "broken"]
    assert ("library", "no libze_loader.so.1") in found
    assert ("library", "no libze_intel_npu.so.1") in found
    assert ("engine", "no openvino") in found


def test_a_gpu_lacks_opencl(root: FakeRoot) -> None:
    root.files("/sys/class/drm/renderD128/device", vendor="0x8086", device="0x46a6")
    root.files("/sys/class/drm/renderD129/device", vendor="0x10de", device="0x1eb8")
    root.node("/dev/dri/renderD128")
    links = root.links("gpu")
    assert (links["permission"].state, links["permission"].found) == ("ok", "/dev/dri/renderD128")
    for name in ("library", "OpenCL"):
        assert (links[name].state, links[name].fix) == ("broken", "sudo apt install intel-opencl-icd")


def test_a_gpu_in_a_container_that_has_no_node(root: FakeRoot) -> None:
    root.files("/sys/class/drm/renderD128/device", vendor="0x8086", device="0x46a6")
    assert root.links("gpu")["driver"].found == "no /dev/dri/renderD128"
