"""The chains of cameras: V4L2 devices, the processes that use them, and picamera2 with libcamera."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from linnet_runtime.doctor.links import Link, absent, broken, ok, permission
from linnet_runtime.doctor.system import System

# Decoders, scalers and a sensor's raw stream have device files too, but deliver no picture.
_NO_CAMERAS = ("bcm2835-codec", "bcm2835-isp", "rpi-hevc", "rpivid", "pispbe", "unicam", "rp1-cfe", "wave", "hantro")
_SENSORS = ("unicam", "rp1-cfe")
_APT = "/usr/lib/python3/dist-packages"
_APT_FIX = "sudo apt install python3-picamera2"


def check_cameras(system: System) -> Iterator[Link]:
    """Every V4L2 camera: the permission, and the processes that have it open."""
    cameras = [path for path in system.glob("/sys/class/video4linux/video*") if _is_camera(system, path)]
    for entry in cameras:
        node = system.path(f"/dev/{entry.name}")
        name = system.read(entry / "name")
        if not node.exists():
            yield broken(entry.name, f"{name} has no /dev/{entry.name}", f"pass /dev/{entry.name} to the container")
            continue
        allowed = permission(system, node, "add a udev rule that assigns it to the group video")
        if allowed.state == "broken":
            yield Link(entry.name, "broken", f"{name}: {allowed.found}", allowed.fix)
        elif users := camera_users(system, f"/dev/{entry.name}"):
            yield broken(entry.name, f"{name} is in use by {', '.join(users)}", f"end it: kill {users[0].split()[-1]}")
        else:
            yield ok(entry.name, name)
    if not cameras:
        yield absent("V4L2", "no camera in /sys/class/video4linux")


def _is_camera(system: System, entry: Path) -> bool:
    """Whether it is a camera's first device file; the further ones hold its metadata."""
    return system.read(entry / "index") in ("", "0") and not system.read(entry / "name").startswith(_NO_CAMERAS)


def camera_users(system: System, node: str) -> list[str]:
    """The other processes that have it open, "motion, process 812". Only root sees those of other users."""
    users = {}
    for file in system.glob("/proc/[0-9]*/fd/*"):
        process = file.parts[-3]
        try:
            if str(file.readlink()) == node and process != str(os.getpid()):
                users[process] = f"{system.read(f'/proc/{process}/comm')}, process {process}"
        except OSError:  # it has ended, or closed the file
            continue
    return list(users.values())


def check_picamera(system: System) -> Iterator[Link]:
    """picamera2 and libcamera come from apt, for the system's Python; a virtual environment has to admit them."""
    names = [system.read(path / "name") for path in system.glob("/sys/class/video4linux/video*")]
    sensor = next((name for name in names if name.startswith(_SENSORS)), "")
    by_apt = [name for name in ("picamera2", "libcamera") if system.path(f"{_APT}/{name}").exists()]
    if not sensor and not by_apt:
        yield absent("picamera2", "no camera on a Raspberry Pi's connector, and no picamera2")
        return
    if sensor:
        yield ok("sensor", sensor)
    if len(by_apt) < 2:
        missing = "libcamera" if by_apt else "picamera2"
        yield broken("packages", f"no {missing} in {_APT}", _APT_FIX)
        return
    yield ok("packages", f"picamera2 and libcamera in {_APT}")
    yield from _check_python(system)


def _check_python(system: System) -> Iterator[Link]:
    suffixes = [path.name.split(".")[1] for path in system.glob(f"{_APT}/libcamera/_libcamera.*.so")]
    own = "cpython-{}{}".format(*system.python)
    if suffixes and not any(suffix.startswith(own) for suffix in suffixes):
        built = suffixes[0].removeprefix("cpython-").split("-")[0]
        version = f"{built[0]}.{built[1:]}"
        found = f"libcamera was built for Python {version}, and this is {'{}.{}'.format(*system.python)}"
        yield broken("Python", found, f"python{version} -m venv --system-site-packages, and Linnet in it")
        return
    settings = dict(_settings(system.read(system.prefix / "pyvenv.cfg")))
    if settings and settings.get("include-system-site-packages") != "true":
        found = f"{system.prefix} excludes system packages"
        yield broken("venv", found, f"python3 -m venv --system-site-packages {system.prefix}")
        return
    error = system.python_error("import picamera2")
    if "numpy.dtype size changed" in error:
        fix = "pip install 'numpy<2' 'opencv-python-headless<4.12': apt's packages need apt's NumPy"
    else:
        fix = f"{_APT_FIX}, then read what this prints: python3 -c 'import picamera2'"
    yield broken("import", error, fix) if error else ok("import", "picamera2")


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            yield key.strip().lower(), value.strip().lower()
