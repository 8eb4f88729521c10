"""What the runtime's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.small_bundle import write_small_bundle


@pytest.fixture
def small_bundle(tmp_path: Path) -> Path:
    """A bundle for the simulated device that the test may change."""
    return write_small_bundle(tmp_path / "small.linnet")
