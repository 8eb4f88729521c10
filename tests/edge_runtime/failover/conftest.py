"""Simulated accelerators, and the moment when the supervisor has one back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from accelerators import Accelerators
from edge_runtime.failover.streams import Listener


@pytest.fixture
def accelerators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accelerators:
    return Accelerators(tmp_path, monkeypatch)


@pytest.fixture
def back() -> Iterator[threading.Event]:
    listener = Listener()
    logging.getLogger("linnet").addHandler(listener)
    yield listener.back
    logging.getLogger("linnet").removeHandler(listener)


@pytest.fixture(autouse=True)
def _in_step(in_step: None) -> None:
    """Every test here fails a device at a certain frame."""
