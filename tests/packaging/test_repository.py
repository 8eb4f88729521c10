"""The checkout: a stranger's machine has other paths, another package registry and perhaps another Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from program import ROOT

_PLACES = re.compile(
    rb"(?<![\w.])/(?:home|root|work|Users)/[\w.]|pythonhoste[d]|pypi\.\w+|--(?:extra-)?index-url|--find-link[s]|/simpl[e]/"
)
_PIN = re.compile(r"[A-Za-z0-9][\w.-]*==[0-9][\w.]*")
_CONSTRAINTS = ("constraints.txt", "constraints-tflite.txt")


def _files_in_git() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_on_one_machine() -> None:
    named = {
        f"{path.relative_to(ROOT)}: {found[0].decode()}"
        for path in _files_in_git()
        for found in _PLACES.finditer(path.read_bytes())
    }
    assert named == set()


@pytest.mark.parametrize("name", _CONSTRAINTS)
def test_constraints_are_pins_and_nothing_else(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert [line for line in lines if not _PIN.fullmatch(line)] == []
    names = [line.partition("==")[0].lower() for line in lines]
    assert names == sorted(set(names))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What make looks at, without an installation."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _make(checkout: Path, change: str, *targets: str) -> list[str]:
    """The lines of make with a simulated Python: this one, after ``change`` to its modules; make has to fail."""
    python = checkout / "simulated-python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; {change}; exec(sys.argv[1])" "$2"\n')
    python.chmod(0o755)
    command = [str(shutil.which("make")), "--silent", f"PYTHON={python}", *targets]
    # Run by make, these tests hand its own flags down.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert not (checkout / ".venv").exists()
    return [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make")]


@pytest.mark.parametrize("target", ["demo", "test"])
@pytest.mark.parametrize("release", ["3.9.2", "3.10.13", "3.14.0"])
def test_make_refuses_a_python_that_linnet_does_not_run_on(checkout: Path, target: str, release: str) -> None:
    found = tuple(map(int, release.split(".")))
    (line,) = _make(checkout, f"sys.version_info = ({found[0]}, {found[1]}, {found[2]}, 'final', 0)", target)
    assert line.startswith("error: ")
    assert "3.11 to 3.13" in line
    assert "Fix: make PYTHON=python3.11" in line


def test_make_says_which_package_has_venv(checkout: Path) -> None:
    (line,) = _make(checkout, "sys.modules['ensurepip'] = None", "test")
    assert line.startswith("error: ")
    assert "apt install python3-venv" in line


def test_ci_script_is_bash_and_may_be_run() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run([str(shutil.which("bash")), "-n", str(script)], check=True)
