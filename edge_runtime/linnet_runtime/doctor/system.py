"""The machine that is examined: its files, its installed packages, its user and its programs."""

from __future__ import annotations

import functools
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path

_SECONDS = 60.0  # the first import of an engine from an SD card is slow


@dataclass(frozen=True)
class System:
    """What the checks read. The defaults are those of this process."""

    root: Path = Path("/")
    """Where the file system begins."""
    site: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    """The folders of installed packages."""
    prefix: Path = Path(sys.prefix)
    """The virtual environment."""
    python: tuple[int, int] = sys.version_info[:2]
    """Python's major and minor version."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def path(self, name: str) -> Path:
        """The file of that absolute name, below the root."""
        return self.root / name.lstrip("/")

    def name(self, path: Path) -> str:
        """The absolute name of a path below the root."""
        return f"/{path.relative_to(self.root)}" if path.is_relative_to(self.root) else str(path)

    def glob(self, pattern: str) -> list[Path]:
        """The paths that match an absolute pattern, sorted."""
        # Path.glob raises where a process, or a device on USB, goes away meanwhile.
        return sorted(self.root / name for name in glob.glob(pattern.lstrip("/"), root_dir=self.root))  # noqa: PTH207

    def read(self, name: str | Path) -> str:
        """The text of a file, without white space around it; empty where it cannot be read."""
        path = self.path(name) if isinstance(name, str) else name
        try:
            return path.read_text(errors="replace").strip(" \t\n\0")
        except OSError:
            return ""

    @functools.cached_property
    def packages(self) -> dict[str, Distribution]:
        """The installed packages by their normalized names; where two have the same name, the one that is imported."""
        found: dict[str, Distribution] = {}
        for distribution in distributions(path=list(self.site)):
            found.setdefault(re.sub(r"[-_.]+", "-", distribution.name or "").lower(), distribution)
        return found

    def program(self, name: str) -> str | None:
        """The path of a program in PATH."""
        folders = self.environ.get("PATH", os.defpath).split(os.pathsep)
        return shutil.which(name, path=os.pathsep.join(str(self.path(folder)) for folder in folders))

    def python_error(self, code: str, *arguments: str) -> str:
        """Runs a line of Python in a separate process, which a library may end. Returns the last line of its error;
        empty where there is none.
        """
        environment = {**self.environ, "PYTHONPATH": os.pathsep.join(filter(None, self.site))}
        command = [sys.executable, "-P", "-c", code, *arguments]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_SECONDS,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {_SECONDS:g} s"
        if done.returncode < 0:
            return f"the process was ended by {signal.Signals(-done.returncode).name}"
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        return lines[-1] if done.returncode else ""

    def group_name(self, number: int) -> str:
        """The name of a group in /etc/group, or its number."""
        return next((name for name, gid, _ in self._groups() if gid == str(number)), str(number))

    def is_in_group(self, group: str) -> bool:
        """Whether /etc/group lists the user in the group, also where this login is older than that."""
        users = [line.split(":") for line in self.read("/etc/passwd").splitlines()]
        user = next((entry[0] for entry in users if len(entry) > 2 and entry[2] == str(os.geteuid())), "")
        return bool(user) and any(name == group and user in members.split(",") for name, _, members in self._groups())

    def _groups(self) -> list[tuple[str, str, str]]:
        entries = [line.split(":") for line in self.read("/etc/group").splitlines()]
        return [(entry[0], entry[2], entry[3]) for entry in entries if len(entry) == 4]
