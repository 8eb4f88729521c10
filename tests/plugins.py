"""Packages as pip leaves them on ``sys.path``: modules, and what ``importlib.metadata`` reads of a distribution."""

from __future__ import annotations

from pathlib import Path


def install_distribution(site: Path, name: str, version: str, entry_points: str = "") -> None:
    """Writes a ``.dist-info``; ``site`` still has to be on ``sys.path``."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)


def install_plugin(site: Path, module: str, code: str, devices: dict[str, str]) -> None:
    """A module with ``code`` that is a plug-in for ``devices``, name to class."""
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(code)
    lines = [f"{name} = {module}:{attribute}" for name, attribute in devices.items()]
    install_distribution(site, module, "1.0", "\n".join(["[linnet.devices]", *lines, ""]))
