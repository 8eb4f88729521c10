"""The machine itself: what makes its processor slow."""

from __future__ import annotations

import pytest

from edge_runtime.doctor.made_system import FakeRoot
from linnet_runtime.doctor import CHAINS


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
