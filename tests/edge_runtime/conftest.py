"""What the runtime's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.small_bundle import write_small_bundle
from linnet_runtime import Classifier


@pytest.fixture
def small_bundle(tmp_path: Path) -> Path:
    """A bundle for the simulated device that the test may change."""
    return write_small_bundle(tmp_path / "small.linnet")


@pytest.fixture
def classifier(small_bundle: Path) -> Iterator[Classifier]:
    """The small bundle on the simulated device."""
    with Classifier.open(small_bundle, "fake") as classifier:
        yield classifier
