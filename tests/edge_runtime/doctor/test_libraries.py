"""Libraries: where the linker looks for them, what they need, and what they lack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_runtime.doctor.made_system import LIBRARIES, FakeRoot, plug_in_coral
from linnet_devices.presets import EDGETPU_LIBRARY
from linnet_runtime.doctor.elf import read_elf


def test_a_library_that_lacks_another_says_which_and_its_package(root: FakeRoot) -> None:
    plug_in_coral(root)
    root.library(EDGETPU_LIBRARY, needs="libusb-1.0.so.0")
    links = root.links("coral")
    assert links["dependencies"].found == f"no libusb-1.0.so.0, which {EDGETPU_LIBRARY} needs"
    assert links["dependencies"].fix == "sudo apt install libusb-1.0-0"
    assert "loads" not in links


def test_a_dependency_of_a_dependency_is_found_too(root: FakeRoot) -> None:
    plug_in_coral(root)
    root.library("libinner.so.1", needs="libvendor.so.3")
    root.library("libouter.so", needs="libinner.so.1")
    (root.folder / LIBRARIES[1:] / "libouter.so").rename(root.folder / LIBRARIES[1:] / EDGETPU_LIBRARY)
    link = root.links("coral")["dependencies"]
    assert link.found == "no libvendor.so.3, which libinner.so.1 needs"
    assert link.fix == "install the package that has libvendor.so.3, then sudo ldconfig"


def test_a_library_that_does_not_load_says_why(root: FakeRoot) -> None:
    plug_in_coral(root)
    root.library(EDGETPU_LIBRARY, "tflite_plugin_create_delegate")  # no libedgetpu of the right version
    link = root.links("coral")["loads"]
    assert link.state == "broken"
    assert "undefined symbol: edgetpu_list_devices" in link.found


@pytest.mark.parametrize("data", [b"", b"not a library", b"\x7fELF\x02\x01"])
def test_a_damaged_library_is_reported(root: FakeRoot, data: bytes) -> None:
    plug_in_coral(root)
    root.write(f"{LIBRARIES}/{EDGETPU_LIBRARY}").write_bytes(data)
    link = root.links("coral")["library"]
    assert link.state == "broken"
    assert link.found.startswith(f"{LIBRARIES}/{EDGETPU_LIBRARY}: ")


def test_the_linkers_own_folders_are_looked_in(root: FakeRoot) -> None:
    """Those of /etc/ld.so.conf.d, and libraries beside the one that needs them."""
    root.system = replace(root.system, environ={"PATH": "/usr/bin"})
    plug_in_coral(root)
    root.write("/etc/ld.so.conf.d/vendor.conf", "# the vendor's\n/opt/vendor/lib")
    path = root.library(EDGETPU_LIBRARY, "tflite_plugin_create_delegate", "edgetpu_list_devices")
    (root.folder / "opt/vendor/lib").mkdir(parents=True)
    path.rename(root.folder / "opt/vendor/lib" / EDGETPU_LIBRARY)
    assert root.links("coral")["library"].found == f"/opt/vendor/lib/{EDGETPU_LIBRARY}"


def test_a_library_of_another_machine_is_reported_with_its_machine(root: FakeRoot) -> None:
    plug_in_coral(root)
    path = root.library(EDGETPU_LIBRARY)
    data = bytearray(path.read_bytes())
    other = 183 if read_elf(path).machine != "arm64" else 62
    data[18:20] = other.to_bytes(2, "little")
    path.write_bytes(data)
    link = root.links("coral")["library"]
    assert link.state == "broken"
    assert f"is built for {'arm64' if other == 183 else 'x86-64'}, and this Python for " in link.found
