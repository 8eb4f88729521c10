"""Virtual environments that hold Linnet's wheel and one engine, as a device has them."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

# pytest's own path must not lend a clean environment the packages of this one.
_OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@dataclass(frozen=True)
class Environment:
    """A virtual environment that no part of this checkout is in."""

    folder: Path

    def run(self, program: str, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment, and fails unless it exits with ``status``."""
        command = [str(self.folder / "bin" / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, env=_OUTSIDE)
        assert done.returncode == status, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def make_environment(folder: Path, requirement: str, constraints: Path) -> Environment:
    """A new environment with what pip installs for ``requirement``."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    done = pip("--python", python, "install", "--quiet", "--constraint", constraints, requirement)
    assert done.returncode == 0, done.stderr
    return Environment(folder)


def pip(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs pip, which says itself whether it failed."""
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=_OUTSIDE)
