"""The conformance suite as the author of a plug-in runs it: a device that works passes, and every fault is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from plugins import install_plugin

# A device of faulty_devices.py to its class there and the test that must find its fault.
FAULTS = {
    "swaps": ("SwapsRedAndBlue", "test_names_each_color"),
    "halves": ("HalvesPixels", "test_agrees_with_keras"),
    "first": ("RunsTheFirstOnly", "test_gives_a_row_of_float32_logits_for_each_picture"),
    "anything": ("AsksNothingOfPixels", "test_refuses_other_pixels"),
    "closed": ("RunsClosed", "test_a_closed_session_does_not_run"),
    "once": ("ClosesOnce", "test_a_closed_session_does_not_run"),
    "silent": ("NeverWarns", "test_an_unclosed_session_is_reported"),
    "blind": ("CountsNothing", "test_placement_accounts_for_every_operation"),
    "writes": ("WritesIntoPixels", "test_leaves_the_pixels_alone"),
    "reuses": ("ReusesItsResult", "test_logits_outlive_the_next_run"),
    "remembers": ("Remembers", "test_the_same_picture_gives_the_same_logits"),
    "raw": ("LetsErrorsThrough", "test_refuses_a_damaged_model"),
    "misnamed": ("CallsItselfAnother", "test_name_is_the_registrys"),
    "nofix": ("SaysNoFix", "test_probe_reports_availability_or_the_reason"),
}

_TEST_FILE = """
from linnet_devices.testing.conformance import DeviceConformance

class Test{name}(DeviceConformance):
    device = "{name}"
"""


def _run_suite(folder: Path, tests_of: dict[str, str]) -> str:
    """pytest's report on a plug-in's devices, each with a test file as in the suite's own docstring.

    ``tests_of`` has the devices, and for each the test that is run, or "" for all.
    """
    classes = {"right": "Right", "absent": "IsNotHere", "unbuilt": "NotInTheModule"}
    classes |= {name: fault[0] for name, fault in FAULTS.items()}
    code = Path(__file__).with_name("faulty_devices.py").read_text()
    install_plugin(folder / "site", "faulty_devices", code, classes)
    tests = folder / "tests"
    tests.mkdir()
    for name in tests_of:
        (tests / f"test_{name}.py").write_text(_TEST_FILE.format(name=name))
    chosen = [f"test_{name}.py::Test{name}" + (f"::{test}" if test else "") for name, test in tests_of.items()]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rfs", "--tb=no", "-q", *chosen]
    path = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tests, env=environment)
    assert done.returncode in (0, 1), done.stdout + done.stderr  # all passed, or some failed
    return done.stdout


def test_a_plugin_that_works_passes(tmp_path: Path) -> None:
    """An installed plug-in with a device that works and a test file of a few lines passes, and skips nothing."""
    summary = _run_suite(tmp_path, {"right": ""}).splitlines()[-1]
    assert re.fullmatch(r"\d+ passed in .*", summary)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", "absent: no such board on the bus. Fix: plug it in"),
        ("unbuilt", "has no attribute 'NotInTheModule'. Fix: install what the plug-in needs"),
    ],
)
def test_a_device_that_is_not_available_is_skipped_with_its_reason(name: str, reason: str, tmp_path: Path) -> None:
    """Without the hardware, or what the plug-in imports, the suite says what is missing, and fails nothing."""
    said = _run_suite(tmp_path, {name: ""})
    assert "failed" not in said
    assert reason in said


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """(device, test) of what failed of the tests in ``FAULTS``."""
    said = _run_suite(tmp_path_factory.mktemp("faulty"), {name: test for name, (_, test) in FAULTS.items()})
    return set(re.findall(r"^FAILED test_\w+\.py::Test(\w+)::(\w+)", said, re.MULTILINE))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str, failures: set[tuple[str, str]]) -> None:
    """A device with one fault fails the test of that behaviour."""
    assert (name, FAULTS[name][1]) in failures
