"""The way to a Coral: the hardware, its permission, udev, its library and its engine."""

from __future__ import annotations

import os

import pytest

from edge_runtime.doctor.made_system import LIBRARIES, NOBODY, FakeRoot, group_of, plug_in_coral, somebody
from linnet_devices.presets import EDGETPU_LIBRARY

RULES = 'SUBSYSTEM=="usb",ATTRS{idVendor}=="1a6e",GROUP="plugdev"\nSUBSYSTEM=="usb",ATTRS{idVendor}=="18d1"'


@pytest.mark.parametrize("ids", ["1a6e:089a", "18d1:9302"])
def test_a_coral_that_is_well(root: FakeRoot, ids: str) -> None:
    plug_in_coral(root, ids)
    root.write("/usr/lib/udev/rules.d/60-libedgetpu1-std.rules", RULES)
    root.library(EDGETPU_LIBRARY, "tflite_plugin_create_delegate", "edgetpu_list_devices")
    root.package("ai_edge_litert", "2.3.0")
    links = root.links("coral")
    assert {link.state for link in links.values()} == {"ok"}
    assert links["hardware"].found == f"{ids} on USB at 5000 Mbit/s"
    assert list(links) == ["hardware", "permission", "library", "loads", "engine"]


def test_without_a_coral_there_is_nothing_to_fix(root: FakeRoot) -> None:
    (link,) = root.links("coral").values()
    assert (link.state, link.fix) == ("absent", "")


def test_libedgetpu_without_a_coral_says_to_plug_it_in(root: FakeRoot) -> None:
    root.write(f"{LIBRARIES}/{EDGETPU_LIBRARY}")
    (link,) = root.links("coral").values()
    assert link.state == "absent"
    assert link.fix.startswith("plug it into a USB 3 port")


def test_a_coral_without_its_library_and_engine(root: FakeRoot) -> None:
    plug_in_coral(root)
    links = root.links("coral")
    assert (links["library"].state, links["library"].found) == ("broken", f"no {EDGETPU_LIBRARY}")
    assert links["library"].fix.startswith("install libedgetpu1-std")
    assert (links["engine"].state, links["engine"].fix) == ("broken", "pip install 'linnet[litert]'")


def test_a_coral_on_usb_2_is_slower(root: FakeRoot) -> None:
    plug_in_coral(root, speed=480)
    assert root.links("coral")["hardware"].state == "warning"


NO_RULE = "install libedgetpu1-std, which has the udev rule, and plug it in again"


@pytest.mark.parametrize(
    ("rules", "mode", "broken"),
    [
        ("", 0o000, {"permission": NO_RULE, "udev": NO_RULE}),
        (RULES, 0o060, {"permission": "sudo usermod -aG plugdev $USER, and log in again"}),
        (RULES, 0o666, {}),
        (RULES.replace("18d1", "abcd"), 0o666, {"udev": NO_RULE}),  # with its firmware it comes back as another device
    ],
)
def test_the_permission_to_a_coral_is_udevs_and_a_groups(
    root: FakeRoot, rules: str, mode: int, broken: dict[str, str]
) -> None:
    plug_in_coral(root, mode=mode)
    root.write("/etc/udev/rules.d/60-libedgetpu1-std.rules", rules)
    group_of(root, "/dev/bus/usb/002/007", "plugdev")
    with somebody():
        links = root.links("coral")
    assert {name: links[name].fix for name in ("permission", "udev") if name in links and links[name].fix} == broken


def test_who_joined_a_group_after_the_login_logs_in_again(root: FakeRoot) -> None:
    plug_in_coral(root, mode=0o060)
    gid = (root.folder / "dev/bus/usb/002/007").stat().st_gid
    root.write("/etc/group", f"plugdev:x:{gid}:pi,ann")
    root.write("/etc/passwd", f"ann:x:{os.geteuid() or NOBODY}:100::/:/bin/sh")
    with somebody():
        assert root.links("coral")["permission"].fix == "log in again"


@pytest.mark.parametrize("pci", [True, False])
def test_a_coral_on_pcie_needs_its_driver(root: FakeRoot, pci: bool) -> None:
    root.files("/sys/bus/pci/devices/0000:01:00.0", vendor="0x1ac1", device="0x089a")
    if pci:
        root.node("/dev/apex_0")
        assert root.links("coral")["permission"].found == "/dev/apex_0"
    else:
        link = root.links("coral")["driver"]
        assert (link.state, link.found) == ("broken", "no /dev/apex_0: gasket and apex are not loaded")
        assert "gasket-dkms" in link.fix
