"""Where a vendor's tool is: in this environment, in one that ``LINNET_TOOLS`` names, or on the PATH.

Vendors' packages pin versions that may conflict with Linnet's. Each may therefore be installed into a separate virtual
environment. ``LINNET_TOOLS=/opt/vela:/opt/rknn`` names such environments; Linnet runs the programs and the Python in
them.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from linnet_convert.errors import ConversionError
from linnet_devices.api import Probe

VARIABLE = "LINNET_TOOLS"


@dataclass(frozen=True)
class Tool:
    """A vendor's program, or a Python that has a vendor's package."""

    path: Path
    """The program, or the Python."""
    version: str
    """The version of the package, ``"unknown"`` where none belongs to the program."""


@dataclass(frozen=True)
class Wanted:
    """The tool of a compiler."""

    package: str
    """The distribution that contains it: ``"ethos-u-vela"``."""
    program: str = ""
    """The program to find; empty for a package that Python imports."""
    module: str = ""
    """The module to find, where there is no program."""
    options: str = ""
    """Options that pip needs for the package, each followed by a space."""
    beside: str = ""
    """Packages that it needs but does not declare, each followed by a space."""

    def find(self) -> Tool | None:
        """The tool; None if it is not found."""
        return self._program() if self.program else self._python()

    def probe(self) -> Probe:
        """As a compiler's ``probe``."""
        found = self.find()
        if found is None:
            return Probe(False, f"{self.program or self.module} is not installed", self.fix)
        return Probe(True, details={"version": f"{self.package} {found.version}", "tool": str(found.path)})

    def require(self, what: str) -> Tool:
        """The tool. Raises ConversionError about ``what`` if it is not found."""
        found = self.find()
        if found is None:
            raise ConversionError(
                what, got=f"no {self.program or self.module}", expected=f"the package {self.package}", fix=self.fix
            )
        return found

    @property
    def fix(self) -> str:
        """How to install it."""
        environment = f"~/{self.package}"
        return (
            f"python3 -m venv {environment}, {environment}/bin/pip install {self.options}{self.beside}{self.package}, "
            f"and export {VARIABLE}={environment}"
        )

    def _program(self) -> Tool | None:
        path = os.pathsep.join([*(str(folder / "bin") for folder in _environments()), os.environ.get("PATH", "")])
        found = shutil.which(self.program, path=path)
        if found is None:
            return None
        program = Path(found).absolute()
        environment = program.resolve().parent.parent
        return Tool(program, _version(self.package, environment) or "unknown")

    def _python(self) -> Tool | None:
        for environment in _environments():
            version = _version(self.package, environment)
            if version and any(site.joinpath(*self.module.split(".")).exists() for site in _sites(environment)):
                return Tool(environment / "bin" / "python", version)
        return None


def _environments() -> list[Path]:
    """This one first: there the versions are known to fit."""
    named = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [Path(sys.prefix), *(Path(folder).expanduser() for folder in named if folder)]


def _sites(environment: Path) -> list[Path]:
    return sorted(environment.glob("lib/python3.*/site-packages"))


def _version(package: str, environment: Path) -> str | None:
    """The version of a package that is installed in an environment; None where it is not."""
    sites = [str(site) for site in _sites(environment)]
    found = next(iter(Distribution.discover(name=package, path=sites)), None)
    return found.version if found else None
