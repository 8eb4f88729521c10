"""The way to a camera: V4L2 and picamera2."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_runtime.doctor.made_system import FakeRoot, group_of, somebody


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
