"""What the runtime's tests share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.server_process import RunningServer, serving
from edge_runtime.small_bundle import write_small_bundle
from linnet_runtime import Classifier
from linnet_runtime.pipeline import device_thread


@pytest.fixture
def small_bundle(tmp_path: Path) -> Path:
    """A bundle for the simulated device that the test may change."""
    return write_small_bundle(tmp_path / "small.linnet")


@pytest.fixture
def classifier(small_bundle: Path) -> Iterator[Classifier]:
    """The small bundle on the simulated device."""
    with Classifier.open(small_bundle, "fake") as classifier:
        yield classifier


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device computes a frame when it is asked for, and none ahead: what is done to it takes effect at the next."""
    monkeypatch.setattr(device_thread, "_AHEAD", 0)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate for ``localhost`` that signs itself."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("no openssl")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem"))
    command = [tool, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """``linnet serve`` with the small bundle, for the tests of one file."""
    bundle = write_small_bundle(tmp_path_factory.mktemp("served") / "small.linnet")
    with serving(bundle, "--device", "fake", "--max-body-mb", 1) as running:
        yield running
