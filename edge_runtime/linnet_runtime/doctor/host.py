"""The machine itself: the processor's frequency governor, its temperature and throttling."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from linnet_runtime.doctor.links import Link, absent, ok, warning
from linnet_runtime.doctor.system import System

_HOT_C = 80.0  # where a Raspberry Pi begins to throttle; for a zone without a limit of its own
_GOVERNOR_FIX = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
# With these drivers "powersave" raises the frequency with the load.
_OWN_SCALING = ("intel_pstate", "amd-pstate", "amd-pstate-epp")
# The bits of vcgencmd get_throttled (Raspberry Pi's documentation); those of the past are 16 higher.
_THROTTLED = {
    0: ("under-voltage", "the power supply that the Raspberry Pi is sold with, and accelerators on a powered hub"),
    1: ("its frequency is capped", "cool it: a heat sink, a fan"),
    2: ("throttled", "cool it: a heat sink, a fan"),
    3: ("the soft temperature limit", "cool it: a heat sink, a fan"),
}
_PAST = 16


def check_host(system: System) -> Iterator[Link]:
    """Nothing here is broken: what is found makes the machine slower."""
    yield _governor(system)
    yield from _temperatures(system)
    yield from _throttling(system)
    yield from _raspberry_pi(system)


def _governor(system: System) -> Link:
    governors = {
        system.read(path) for path in system.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    }
    drivers = {system.read(path) for path in system.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_driver")}
    if not governors:
        return absent("governor", "the kernel does not control the frequency")
    if "powersave" in governors and not drivers & set(_OWN_SCALING):
        return warning("governor", "powersave: always the lowest frequency", _GOVERNOR_FIX)
    return ok("governor", ", ".join(sorted(governors)))


def _temperatures(system: System) -> Iterator[Link]:
    zones: list[tuple[float, float, float, str]] = []
    for zone in system.glob("/sys/class/thermal/thermal_zone*"):
        degrees, limit = _degrees(system, zone / "temp"), _limit(system, zone)
        if degrees is not None:
            zones.append((degrees - limit, degrees, limit, system.read(zone / "type")))
    if not zones:
        yield absent("temperature", "no sensor")
        return
    over, degrees, limit, kind = max(zones)
    found = f"{degrees:.0f} °C in {kind}, which throttles at {limit:.0f}"
    yield (
        warning("temperature", found, "cool it: a heat sink, a fan, fewer frames")
        if over >= 0
        else ok("temperature", found)
    )


def _degrees(system: System, path: Path) -> float | None:
    text = system.read(path)
    return int(text) / 1000 if re.fullmatch(r"-?\d+", text) else None


def _limit(system: System, zone: Path) -> float:
    """The lowest temperature at which the kernel slows it down."""
    limits = []
    for kind in sorted(zone.glob("trip_point_*_type")):
        degrees = _degrees(system, kind.with_name(kind.name.replace("_type", "_temp")))
        if system.read(kind) in ("passive", "hot") and degrees is not None and degrees > 0:
            limits.append(degrees)
    return min(limits, default=_HOT_C)


def _throttling(system: System) -> Iterator[Link]:
    paths = system.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    most = max((int(text) for text in map(system.read, paths) if text.isdecimal()), default=None)
    if most:
        yield warning("throttling", f"{most} times since the start", "cool it: a fan, dust")
    elif most is not None:
        yield ok("throttling", "never since the start")


def _raspberry_pi(system: System) -> Iterator[Link]:
    program = system.program("vcgencmd")
    if program is None:
        return
    try:
        done = subprocess.run([program, "get_throttled"], capture_output=True, text=True, check=False, timeout=10)
        said = (done.stdout + done.stderr).strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", said)
    if found is None:
        fix = "sudo usermod -aG video $USER, and log in again: vcgencmd needs /dev/vcio"
        yield warning("vcgencmd", f"get_throttled prints {said or 'nothing'}", fix)
        return
    bits = int(found[1], 16)
    for bit, (what, fix) in _THROTTLED.items():
        if bits >> bit & 1:
            yield warning("vcgencmd", f"{what} now", fix)
        elif bits >> (bit + _PAST) & 1:
            yield warning("vcgencmd", f"{what} since the start", fix)
    if not bits:
        yield ok("vcgencmd", "never throttled since the start")
