"""The simulated accelerators ``first`` and ``second`` for a test: installed as a plug-in, and failing on request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins import install_distribution
from program import ROOT

_ENTRY_POINTS = """
[linnet.devices]
first = simulated_accelerator:First
second = simulated_accelerator:Second
"""


class Accelerators:
    """How they fail is in files, so that their child processes, and the program's, see it at once."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._faults = folder / "faults"
        self._faults.mkdir(parents=True)
        install_distribution(folder / "site", "simulated-accelerator", "1.0", _ENTRY_POINTS)
        monkeypatch.syspath_prepend(str(folder / "site"))
        monkeypatch.setenv("SIMULATED_FAULTS", str(self._faults))
        path = (str(folder / "site"), str(ROOT / "tests"), os.environ.get("PYTHONPATH"))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))  # for the program

    def fail(self, fault: str, device: str = "first") -> None:
        """From now on the device has this fault; the file appears whole."""
        new = self._faults / f".{device}"
        new.write_text(fault)
        new.replace(self._faults / device)

    def mend(self, device: str = "first") -> None:
        self.fail("", device)

    def opened(self, device: str = "first") -> list[int]:
        """The process of each opening."""
        log = self._faults / f"{device}.opened"
        return [int(line) for line in log.read_text().split()] if log.exists() else []
