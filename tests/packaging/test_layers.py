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


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("linnet_devices.fake", "linnet_runtime.bundle"),
        ("linnet_runtime.photos", "linnet_train.data.dataset"),
        ("linnet_train.run", "linnet_convert.cli"),
        ("linnet_convert.cli", "linnet_train.data.dataset"),  # downward, but past quantisation
    ],
)
def test_an_import_that_points_the_wrong_way_is_found(module: str, imported: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for stage in STAGES:
        shutil.copytree(ROOT / stage, tmp_path / stage, ignore=shutil.ignore_patterns("__pycache__"))
    (path,) = tmp_path.glob(f"*/{module.replace('.', '/')}.py")
    with path.open("a") as file:
        file.write(f"\nimport {imported}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert f"{module} -> {imported}" in done.stdout
