"""The public conformance suite on a device whose name is only known when the tests run, as a user would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from linnet_devices.api import Precision
from linnet_devices.testing.conformance import DeviceConformance

_TEST_FILE = """
from linnet_devices.testing.conformance import DeviceConformance

class TestIt(DeviceConformance):
    device = {device!r}
    precisions = {precisions!r}
"""


def run_conformance(
    folder: Path,
    device: str,
    site: Path | None = None,
    precisions: tuple[Precision, ...] = DeviceConformance.precisions,
) -> None:
    """Fails unless the suite passes whole; ``site`` is a folder for ``sys.path`` with a plug-in for the device."""
    run_suite(folder, _TEST_FILE.format(device=device, precisions=precisions), PYTHONPATH=str(site or ""))


def run_suite(folder: Path, text: str, *, python: Path = Path(sys.executable), **environment: str) -> None:
    """Fails unless every test of a file of that text passes. ``PYTHONPATH`` goes before this process's own."""
    test_file = folder / "test_it.py"
    test_file.write_text(text)
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "-q", "-W", "error", test_file.name]
    path = os.pathsep.join(filter(None, [environment.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH")]))
    variables = os.environ | {"PYTHONPATH": path, "COLUMNS": "300"} | environment
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=variables)
    assert re.fullmatch(r"\d+ passed in .*", done.stdout.splitlines()[-1]), done.stdout + done.stderr
