"""Packages as pip leaves them on ``sys.path``: modules, and what ``importlib.metadata`` reads of a distribution."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_TEST_FILE = """
from linnet_devices.testing.conformance import DeviceConformance

class Test{name}(DeviceConformance):
    device = "{name}"
    {more}
"""


def install_distribution(site: Path, name: str, version: str, entry_points: str = "") -> None:
    """Writes a ``.dist-info``; ``site`` still has to be on ``sys.path``."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)


def install_plugin(site: Path, module: str, code: str, devices: dict[str, str]) -> None:
    """A module with ``code`` that is a plug-in for ``devices``, name to class."""
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(code)
    lines = [f"{name} = {module}:{attribute}" for name, attribute in devices.items()]
    install_distribution(site, module, "1.0", "\n".join(["[linnet.devices]", *lines, ""]))


def run_conformance(folder: Path, code: str, classes: dict[str, str], tests_of: dict[str, str], more: str = "") -> str:
    """What pytest says of a plug-in's devices, each with a test file as in the conformance suite's own docstring.

    ``code`` is the plug-in's module and ``classes`` its devices, name to class. ``tests_of`` has those that are tested,
    and for each the test that is run, or "" for all. ``more`` is a further line of each test's class.
    """
    install_plugin(folder / "site", "tested_devices", code, classes)
    tests = folder / "tests"
    tests.mkdir()
    for name in tests_of:
        (tests / f"test_{name}.py").write_text(_TEST_FILE.format(name=name, more=more))
    chosen = [f"test_{name}.py::Test{name}" + (f"::{test}" if test else "") for name, test in tests_of.items()]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rfs", "--tb=no", "-q", *chosen]
    path = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tests, env=environment)
    assert done.returncode in (0, 1), done.stdout + done.stderr  # all passed, or some failed
    return done.stdout
