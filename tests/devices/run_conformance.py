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
    test_file = folder / "test_it.py"
    test_file.write_text(_TEST_FILE.format(device=device, precisions=precisions))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-W", "error", test_file.name]
    path = os.pathsep.join(filter(None, [site and str(site), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert re.fullmatch(r"\d+ passed in .*", done.stdout.splitlines()[-1]), done.stdout + done.stderr
