"""``linnet doctor``: a system's files are made below a folder, and the doctor reads them as it reads the real ones."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from linnet_devices.presets import EDGETPU_LIBRARY
from linnet_devices.testing import faults
from linnet_runtime.doctor import CHAINS, Link, System, examine
from linnet_runtime.doctor.elf import read_elf
from plugins import install_distribution
from program import linnet, one_line_error

NOBODY = 65534
LIBRARIES = "/usr/lib/x86_64-linux-gnu"


class FakeRoot:
    """A file system below a folder; its libraries are real ones, and its nodes are files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.system = System(
            root=folder,
            site=(str(folder / "site"),),
            prefix=folder / "venv",
            python=sys.version_info[:2],
            environ={"PATH": "/usr/bin", "LD_LIBRARY_PATH": f"{folder}{LIBRARIES}"},
        )

    def write(self, name: str, text: str = "") -> Path:
        path = self.folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
        return path

    def files(self, folder: str, **texts: object) -> None:
        for name, text in texts.items():
            self.write(f"{folder}/{name}", str(text))

    def node(self, name: str, mode: int = 0o666) -> None:
        self.write(name).chmod(mode)

    def package(self, name: str, version: str, module: str = "", code: str = "", tag: str = "") -> None:
        """A package as pip leaves it, with a module of that code."""
        site = self.folder / "site"
        install_distribution(site, name, version)
        if tag:
            (site / f"{name}-{version}.dist-info" / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")
        if module:
            path = site.joinpath(*module.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)

    def library(self, name: str, *symbols: str, needs: str = "") -> Path:
        """A library with those functions, which needs another one that is not there."""
        compiler = faults.compiler()
        if compiler is None:
            pytest.skip("no C compiler")
        path = self.write(f"{LIBRARIES}/{name}")
        command = [
            compiler,
            "-shared",
            "-fPIC",
            "-nostdlib",
            "-x",
            "c",
            "-",
            "-x",
            "none",
            "-o",
            str(path),
            f"-Wl,-soname,{name}",
        ]
        if needs:
            stub = self.folder / needs
            subprocess.run([*command[:-2], str(stub), f"-Wl,-soname,{needs}"], input=b"void stub() {}", check=True)
            command += ["-Wl,--no-as-needed", str(stub)]
        code = "".join(f"void {symbol}(void) {{}}\n" for symbol in symbols)
        subprocess.run(command, input=code.encode(), check=True)
        if needs:
            (self.folder / needs).unlink()
        return path

    def links(self, chain: str) -> dict[str, Link]:
        return {link.link: link for link in CHAINS[chain](self.system)}


@pytest.fixture
def root() -> Iterator[FakeRoot]:
    """Empty, and where every user may look: pytest's own folder is root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "site").mkdir()
        yield FakeRoot(Path(folder))


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """Root may do everything: meanwhile it is somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def group_of(root: FakeRoot, node: str, name: str) -> None:
    """Gives the group of a node, which is whatever it is here, a name."""
    root.write("/etc/group", f"{name}:x:{(root.folder / node.lstrip('/')).stat().st_gid}:")


# Engines and OpenCV


def test_an_engine_that_works_is_reported_with_its_versions(root: FakeRoot) -> None:
    root.package("numpy", "2.4.6")
    root.package("ai_edge_litert", "2.3.0", "ai_edge_litert.interpreter", "", f"cp3{sys.version_info[1]}-cp3-linux")
    link = root.links("engines")["ai-edge-litert"]
    assert (link.state, link.fix) == ("ok", "")
    assert link.found == "2.3.0 with Python {}.{} and NumPy 2.4.6".format(*sys.version_info)


def test_no_engine_at_all_is_broken(root: FakeRoot) -> None:
    link = root.links("engines")["engine"]
    assert (link.state, link.fix) == ("broken", "pip install 'linnet[litert]'")


@pytest.mark.parametrize(("numpy", "state"), [("1.26.4", "ok"), ("2.4.6", "broken")])
def test_tflite_runtime_wants_numpy_1(root: FakeRoot, numpy: str, state: str) -> None:
    """It declares no bound, and fails when a model is opened."""
    root.package("numpy", numpy)
    root.package("tflite_runtime", "2.14.0", "tflite_runtime.interpreter")
    link = root.links("engines")["tflite-runtime"]
    assert link.state == state
    assert ("NumPy 2.4.6" in link.found and "'numpy<2'" in link.fix) == (state == "broken")


@pytest.mark.parametrize(
    ("tag", "state"),
    [
        ("cp311-cp311-manylinux2014_aarch64", "broken"),
        ("cp312-cp312-manylinux2014_aarch64", "ok"),
        ("cp37-abi3-manylinux2014_aarch64", "ok"),  # for every later one too
        ("py3-none-manylinux2014_aarch64", "ok"),
    ],
)
def test_an_engine_was_built_for_this_python(root: FakeRoot, tag: str, state: str) -> None:
    root.system = replace(root.system, python=(3, 12))
    root.package("tflite_runtime", "2.14.0", "tflite_runtime.interpreter", "", tag)
    link = root.links("engines")["tflite-runtime"]
    assert link.state == state
    if state == "broken":
        assert link.found == "2.14.0 was built for cp311, and this is Python 3.12"
        assert link.fix == "pip install 'linnet[litert]': tflite-runtime ends at Python 3.11"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("raise ImportError('libtbb.so.12: cannot open shared object file')", "libtbb.so.12: cannot open"),
        ("import os; os.kill(os.getpid(), 4)", "the process was ended by SIGILL"),  # a processor without AVX
    ],
)
def test_an_engine_that_cannot_be_imported_says_why(root: FakeRoot, code: str, found: str) -> None:
    root.package("openvino", "2026.4.1", "openvino", code)
    link = root.links("engines")["openvino"]
    assert link.state == "broken"
    assert found in link.found
    assert link.fix == "pip install --force-reinstall openvino"


def test_two_packages_with_the_same_files_are_broken(root: FakeRoot) -> None:
    root.package("opencv_python", "5.0.0.93")
    root.package("opencv_python_headless", "5.0.0.93")
    root.package("onnxruntime", "1.31.1")
    root.package("onnxruntime_openvino", "1.24.1")
    (link,) = root.links("opencv").values()
    assert link.state == "broken"
    assert link.fix == ("pip uninstall opencv-python-headless opencv-python, then pip install opencv-python-headless")
    assert root.links("engines")["onnxruntime and onnxruntime-openvino"].state == "broken"


def test_opencv_for_a_desktop_on_a_machine_without_one_gets_the_headless_one(root: FakeRoot) -> None:
    code = "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    root.package("opencv_python", "5.0.0.93", "cv2", code)
    link = root.links("opencv")["opencv-python"]
    assert link.state == "broken"
    assert link.fix.startswith("pip uninstall opencv-python, then pip install opencv-python-headless")


# Coral


def plug_in_coral(root: FakeRoot, ids: str = "1a6e:089a", speed: int = 5000, mode: int = 0o666) -> None:
    vendor, product = ids.split(":")
    root.files("/sys/bus/usb/devices/2-1", idVendor=vendor, idProduct=product, speed=speed, busnum=2, devnum=7)
    root.files("/sys/bus/usb/devices/usb1", idVendor="1d6b", idProduct="0002", speed=480, busnum=1, devnum=1)
    root.node("/dev/bus/usb/002/007", mode)


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


# Libraries


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


# Delegates


def test_a_delegate_of_which_nothing_is_installed_is_not_reported(root: FakeRoot) -> None:
    (link,) = root.links("delegates").values()
    assert link.state == "absent"


def test_a_delegates_node_asks_for_its_library(root: FakeRoot) -> None:
    root.node("/dev/ethosu0")
    links = root.links("delegates")
    assert links["ethosu permission"].state == "ok"
    assert (links["ethosu library"].state, links["ethosu library"].found) == ("broken", "no libethosu_delegate.so")
    assert "eIQ" in links["ethosu library"].fix
    assert links["engine"].state == "broken"


def test_a_library_that_is_no_delegate_is_reported(root: FakeRoot) -> None:
    root.library("libvx_delegate.so")
    links = root.links("delegates")
    assert links["vx hardware"].state == "absent"
    assert "undefined symbol: tflite_plugin_create_delegate" in links["vx loads"].found


def test_a_delegate_that_is_well(root: FakeRoot) -> None:
    root.library("libvx_delegate.so", "tflite_plugin_create_delegate")
    root.node("/dev/galcore")
    root.package("tflite_runtime", "2.14.0")
    assert {link.state for link in root.links("delegates").values()} == {"ok"}


# Intel


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


# Cameras


def connect_camera(root: FakeRoot, node: str = "video0", name: str = "USB Camera", index: int = 0) -> None:
    root.files(f"/sys/class/video4linux/{node}", name=name, index=index)
    root.node(f"/dev/{node}")


def test_each_camera_is_one_link(root: FakeRoot) -> None:
    connect_camera(root)
    connect_camera(root, "video1", index=1)  # its metadata
    connect_camera(root, "video10", "bcm2835-codec-decode")
    (link,) = root.links("cameras").values()
    assert (link.link, link.state, link.found) == ("video0", "ok", "USB Camera")


def test_without_a_camera_there_is_nothing_to_fix(root: FakeRoot) -> None:
    assert root.links("cameras")["V4L2"].state == "absent"


def test_a_camera_that_is_in_use_is_reported_with_its_user(root: FakeRoot) -> None:
    connect_camera(root)
    root.write("/proc/812/comm", "motion")
    (root.folder / "proc/812/fd").mkdir()
    (root.folder / "proc/812/fd/7").symlink_to("/dev/video0")
    (root.folder / "proc/812/fd/8").symlink_to("/dev/video0")
    (root.folder / "proc/812/fd/9").symlink_to("/dev/video10")
    link = root.links("cameras")["video0"]
    assert (link.state, link.found) == ("broken", "USB Camera is in use by motion, process 812")
    assert link.fix == "end it: kill 812"


def test_a_camera_is_for_the_group_video(root: FakeRoot) -> None:
    connect_camera(root)
    (root.folder / "dev/video0").chmod(0o060)
    group_of(root, "/dev/video0", "video")
    with somebody():
        link = root.links("cameras")["video0"]
    assert link.state == "broken"
    assert link.fix == "sudo usermod -aG video $USER, and log in again"


APT = "/usr/lib/python3/dist-packages"


def install_picamera(root: FakeRoot, python: str = "311") -> None:
    root.write(f"{APT}/picamera2/__init__.py")
    root.write(f"{APT}/libcamera/_libcamera.cpython-{python}-aarch64-linux-gnu.so")
    root.system = replace(root.system, python=(3, 11))


def test_a_sensor_asks_for_picamera2(root: FakeRoot) -> None:
    root.files("/sys/class/video4linux/video0", name="unicam-image", index=0)
    links = root.links("picamera2")
    assert links["sensor"].found == "unicam-image"
    assert (links["packages"].state, links["packages"].fix) == ("broken", "sudo apt install python3-picamera2")


def test_picamera2_in_a_venv_without_system_packages(root: FakeRoot) -> None:
    install_picamera(root)
    root.write("/venv/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false")
    link = root.links("picamera2")["venv"]
    assert link.state == "broken"
    assert link.fix == f"python3 -m venv --system-site-packages {root.folder}/venv"


def test_picamera2_for_another_python(root: FakeRoot) -> None:
    install_picamera(root, "313")
    link = root.links("picamera2")["Python"]
    assert link.found == "libcamera was built for Python 3.13, and this is 3.11"
    assert link.fix.startswith("python3.13 -m venv --system-site-packages")


@pytest.mark.parametrize(
    ("code", "state", "fix"),
    [
        ("", "ok", ""),
        ("raise ValueError('numpy.dtype size changed, may indicate binary incompatibility')", "broken", "'numpy<2'"),
        ("import pykms_that_is_not_here", "broken", "python3 -c 'import picamera2'"),
    ],
)
def test_picamera2_is_imported_where_it_may_be(root: FakeRoot, code: str, state: str, fix: str) -> None:
    install_picamera(root)
    root.write("/venv/pyvenv.cfg", "include-system-site-packages = true")
    root.package("picamera2", "0.3.38", "picamera2", code)
    link = root.links("picamera2")["import"]
    assert link.state == state
    assert fix in link.fix


# The machine


@pytest.mark.parametrize(
    ("governor", "driver", "state"),
    [
        ("performance", "cpufreq-dt", "ok"),
        ("ondemand", "cpufreq-dt", "ok"),
        ("powersave", "cpufreq-dt", "warning"),
        ("powersave", "intel_pstate", "ok"),  # which goes up with the load
    ],
)
def test_a_governor_that_keeps_the_processor_slow(root: FakeRoot, governor: str, driver: str, state: str) -> None:
    for core in range(2):
        folder = f"/sys/devices/system/cpu/cpu{core}/cpufreq"
        root.files(folder, scaling_governor=governor, scaling_driver=driver)
    link = root.links("host")["governor"]
    assert link.state == state
    assert ("performance | sudo tee" in link.fix) == (state == "warning")


@pytest.mark.parametrize(
    ("degrees", "passive", "state"),
    [(61.2, None, "ok"), (84.9, None, "warning"), (84.9, 95, "ok"), (71, 70, "warning")],
)
def test_the_hottest_sensor_is_held_against_its_own_limit(
    root: FakeRoot, degrees: float, passive: int | None, state: str
) -> None:
    root.files("/sys/class/thermal/thermal_zone0", temp=int(degrees * 1000), type="cpu-thermal")
    root.files("/sys/class/thermal/thermal_zone1", temp=30000, type="board")
    root.files("/sys/class/thermal/thermal_zone0", trip_point_0_type="critical", trip_point_0_temp=110000)
    if passive:
        limits = {"trip_point_1_type": "passive", "trip_point_1_temp": passive * 1000}
        root.files("/sys/class/thermal/thermal_zone0", **limits)
    link = root.links("host")["temperature"]
    assert (link.state, link.found) == (state, f"{degrees:.0f} °C in cpu-thermal, which throttles at {passive or 80}")


@pytest.mark.parametrize(("count", "state"), [(0, "ok"), (12, "warning")])
def test_a_processor_that_was_throttled(root: FakeRoot, count: int, state: str) -> None:
    root.files("/sys/devices/system/cpu/cpu0/thermal_throttle", core_throttle_count=0)
    root.files("/sys/devices/system/cpu/cpu1/thermal_throttle", core_throttle_count=count)
    assert root.links("host")["throttling"].state == state


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("throttled=0x0", ["never throttled since the start"]),
        ("throttled=0x50005", ["under-voltage now", "throttled now"]),
        ("throttled=0x50000", ["under-voltage since the start", "throttled since the start"]),
        ("throttled=0x80008", ["the soft temperature limit now"]),
        ("VCHI initialization failed", ["get_throttled prints VCHI initialization failed"]),
    ],
)
def test_what_a_raspberry_pis_firmware_says(root: FakeRoot, said: str, found: list[str]) -> None:
    root.write("/usr/bin/vcgencmd", f"#!/bin/sh\n[ $1 = get_throttled ] && echo '{said}'").chmod(0o755)
    links = [link for link in CHAINS["host"](root.system) if link.link == "vcgencmd"]
    assert [link.found for link in links] == found
    assert {bool(link.fix) for link in links} == {said != "throttled=0x0"}
    assert {link.state for link in links} == {"ok" if said == "throttled=0x0" else "warning"}


# The command


def test_an_empty_system_breaks_nothing(root: FakeRoot) -> None:
    states = {chain.chain: chain.state for chain in examine(root.system)}
    assert list(states) == list(CHAINS)
    assert states.pop("engines") == "broken"
    assert states.pop("opencv") == "ok"  # this process's own
    assert set(states.values()) == {"absent"}


def test_the_machine_that_this_runs_on_is_examined() -> None:
    """Whatever is wrong with it, every chain is there, and what is broken has a fix."""
    done = subprocess.run(
        [sys.executable, "-m", "linnet_runtime.cli", "doctor", "--json"], capture_output=True, text=True, check=False
    )
    said = json.loads(done.stdout)
    links = [link for chain in said["chains"] for link in chain["links"]]
    assert [chain["chain"] for chain in said["chains"]] == list(CHAINS)
    assert said["broken"] == sum(link["state"] == "broken" for link in links)
    assert done.returncode == (1 if said["broken"] else 0)
    assert all(link["fix"] for link in links if link["state"] in ("broken", "warning"))
    assert all("\n" not in link["found"] + link["fix"] for link in links)


def test_a_broken_link_is_a_line_with_its_fix_and_exit_status_1(tmp_path: Path) -> None:
    for name in ("opencv-python", "opencv-contrib-python"):
        install_distribution(tmp_path, name, "5.0.0.93")
    done = linnet("doctor", status=1, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    lines = done.stdout.splitlines()
    (i,) = [i for i, line in enumerate(lines) if "overwrites" in line]
    assert lines[i].split()[:2] == ["opencv", "broken"]
    assert lines[i + 1].strip().startswith("Fix: pip uninstall ")
    assert "opencv-python and opencv-contrib-python" in one_line_error(done)
