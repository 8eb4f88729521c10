"""The table of commands: what it names exists, and asking for help costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from typing import Any

import pytest

from linnet_devices.registry import DEVICES
from linnet_runtime.cli import COMMANDS
from program import ROOT, linnet

_HEAVY = {"ai_edge_litert", "keras", "onnx", "onnxruntime", "openvino", "sklearn", "tensorflow"}
# tflite-micro has only pre-releases.
OUTSIDE_THE_EXTRAS = {"pip install --pre tflite-micro"}
_HELP = """
import json, sys
from linnet_runtime.cli import main
status = main([*sys.argv[1:], "--help"])
print(json.dumps({"status": status, "modules": sorted(sys.modules)}))
"""


@pytest.mark.parametrize("command", [(), *[(name,) for name in COMMANDS]], ids=" ".join)
def test_help_imports_no_framework(command: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", _HELP, *command], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    assert lines[0].startswith(" ".join(["Usage: linnet", *command]))
    assert json.loads(last)["status"] == 0
    assert not _HEAVY & set(json.loads(last)["modules"])


def test_help_lists_every_command_with_its_summary() -> None:
    listed = " ".join(linnet("--help").stdout.split())
    assert all(f"{name} {command.summary}" in listed for name, command in COMMANDS.items())


def test_version_is_the_distributions() -> None:
    assert linnet("--version").stdout.split() == ["linnet,", "version", version("linnet")]


def test_commands_and_devices_name_extras_that_exist() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    assert {command.extra for command in COMMANDS.values()} - {""} <= extras
    hints = {entry.hint for entry in DEVICES.values()} - {""}
    assert hints <= {f"pip install 'linnet[{extra}]'" for extra in extras} | OUTSIDE_THE_EXTRAS
