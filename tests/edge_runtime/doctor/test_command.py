"""``linnet doctor`` as a whole, on a made system and on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from edge_runtime.doctor.made_system import FakeRoot
from linnet_runtime.doctor import CHAINS, examine
from plugins import install_distribution
from program import linnet, one_line_error


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
