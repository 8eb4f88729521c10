"""What the doctor's tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.doctor.made_system import FakeRoot


@pytest.fixture
def root() -> Iterator[FakeRoot]:
    """Empty, and where every user may look: pytest's own folder is root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "site").mkdir()
        yield FakeRoot(Path(folder))
