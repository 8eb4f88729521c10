"""What the tests of proof share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def bundle_copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle of a real network that the test may change."""
    return shutil.copytree(bundle_folder, tmp_path / "parts.linnet")
