"""The packages' layers: arrows point downward only, and what says so notices when one does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from program import ROOT

STAGES = ("devices", "edge_runtime", "train", "convert")


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter with the contracts of ``root``'s pyproject.toml on the packages of ``root``."""
    program = f"import sys; sys.path[:0] = {[str(root / stage) for stage in STAGES]}\n"
    program += "from importlinter.cli import lint_imports\nsys.exit(lint_imports(no_cache=True, no_logo=True))"
    return subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)


def test_the_layers_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def lint_with_import(module: str, imported: str, root: Path) -> subprocess.CompletedProcess[str]:
    """``lint_imports`` of a copy in ``root``, in which ``module`` imports ``imported`` as well."""
    shutil.copy(ROOT / "pyproject.toml", root)
    for stage in STAGES:
        shutil.copytree(ROOT / stage, root / stage, ignore=shutil.ignore_patterns("__pycache__"))
    (path,) = root.glob(f"*/{module.replace('.', '/')}.py")
    with path.open("a") as file:
        file.write(f"\nimport {imported}\n")
    return lint_imports(root)


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("linnet_devices.fake", "linnet_runtime.bundle"),
        ("linnet_runtime.photos.listing", "linnet_train.data.dataset"),
        ("linnet_train.run", "linnet_convert.cli"),
        ("linnet_convert.cli", "linnet_train.data.dataset"),  # downward, but past quantisation
    ],
)
def test_an_import_that_points_the_wrong_way_is_found(module: str, imported: str, tmp_path: Path) -> None:
    done = lint_with_import(module, imported, tmp_path)
    assert done.returncode == 1
    assert f"{module} -> {imported}" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "package"),
    [
        ("linnet_convert.writers.artifacts", "linnet_convert.sources.api", "linnet_convert"),  # two folders
        (
            "linnet_convert.sources.pixel_models",
            "linnet_convert.sources.network",
            "linnet_convert.sources",
        ),  # two files
        ("linnet_devices.errors", "linnet_devices.registry", "linnet_devices"),
    ],
)
def test_a_circle_is_found(module: str, imported: str, package: str, tmp_path: Path) -> None:
    """Two files or two folders that import each other, be it by way of others."""
    done = lint_with_import(module, imported, tmp_path)
    assert done.returncode == 1
    assert f"No cycles are allowed in {package}.\n" in done.stdout
