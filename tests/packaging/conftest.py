"""The wheel, and the environments that it is tried in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from environments import Environment, make_environment, pip
from once import made_once
from program import ROOT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
        subprocess.run(command, check=True, capture_output=True)

    (wheel,) = made_once(tmp_path_factory, "dist", make).glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where pip gets nothing from anywhere, so that whatever fails after it is a fault of ours."""
    target = tmp_path_factory.mktemp("registry")
    done = pip("--retries", 1, "--timeout", 15, "download", "--no-deps", "--dest", target, "mdurl")
    if done.returncode:
        pytest.skip(f"pip reaches no package registry: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="session")
def litert(wheel: Path, registry: None, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel with LiteRT, in the versions of constraints.txt."""

    def make(folder: Path) -> None:
        make_environment(folder, f"{wheel}[litert]", ROOT / "constraints.txt")

    return Environment(made_once(tmp_path_factory, "litert", make))


@pytest.fixture(scope="session")
def tflite(wheel: Path, registry: None, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel with tflite-runtime, NumPy 1 and OpenCV 4.11."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("tflite-runtime's last wheels are for Python 3.11")

    def make(folder: Path) -> None:
        make_environment(folder, f"{wheel}[tflite]", ROOT / "constraints-tflite.txt")

    return Environment(made_once(tmp_path_factory, "tflite", make))


@pytest.fixture(scope="session", params=["litert", "tflite"])
def environment(request: pytest.FixtureRequest) -> Environment:
    """Each of the two."""
    found: Environment = request.getfixturevalue(request.param)
    return found
