"""The example of a plug-in: a package of its own, installed beside the wheel as a user installs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from environments import Environment, make_environment, pip
from program import ROOT

PLUGIN = ROOT / "examples" / "plugin"


@pytest.fixture(scope="module")
def environment(wheel: Path, registry: None, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Linnet's wheel with LiteRT, the plug-in's wheel, and pytest."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(PLUGIN, folder / "source")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    environment = make_environment(folder / "venv", f"{wheel}[litert]", ROOT / "constraints.txt")
    (plugin,) = folder.glob("*.whl")
    python = environment.folder / "bin" / "python"
    done = pip("--python", python, "install", "--quiet", "--constraint", ROOT / "constraints.txt", "pytest", plugin)
    assert done.returncode == 0, done.stderr
    return environment


def test_a_whole_plugin_has_less_than_40_lines() -> None:
    texts = [(PLUGIN / name).read_text() for name in ("pyproject.toml", "linnet_reference.py")]
    assert len([line for text in texts for line in text.splitlines() if line.strip()]) < 40


def test_its_device_passes_the_conformance_suite(environment: Environment) -> None:
    done = environment.run("pytest", "-p", "no:cacheprovider", "-q", "-W", "error", PLUGIN / "test_reference.py")
    assert re.fullmatch(r"\d+ passed in .*", done.stdout.splitlines()[-1]), done.stdout


def test_its_device_is_a_device_like_any_other(environment: Environment, bundle_folder: Path) -> None:
    """Listed, and opened in a process of its own; its logits are the canaries'."""
    listed = json.loads(environment.run("linnet", "devices", "--json").stdout)["devices"]
    assert [row["available"] for row in listed if row["device"] == "reference"] == [True]
    verdicts = json.loads(environment.run("linnet", "verify", bundle_folder, "--device", "reference", "--json").stdout)
    assert {row["device"]: row["canary"]["passed"] for row in verdicts["artifacts"]} == {"reference": True}
