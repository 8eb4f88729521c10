"""The service: its unit, checked by systemd's own programs, and what it tells systemd while it runs."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.server_process import serving
from edge_runtime.simulated_camera import SimulatedCamera, Step, frame_of
from edge_runtime.small_bundle import write_small_bundle
from linnet_runtime.pipeline.camera import Camera
from linnet_runtime.results import Event
from linnet_runtime.server.board import Board
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.models import Models, Opening
from linnet_runtime.server.notify import notify, watchdog_interval_s
from linnet_runtime.server.pulse import Pulse
from linnet_runtime.sinks.settings import SinkSettings
from program import PATIENCE_S, linnet, one_line_error

SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="no systemd-analyze: apt install systemd")


@pytest.fixture
def unit(small_bundle: Path, tmp_path: Path) -> Path:
    """The unit of a service with everything."""
    (tmp_path / "camera.toml").write_text('[[camera]]\nsource = "synthetic:"\n[serve]\nport = 8123\n')
    for name in ("token", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("x")
    secrets = [
        "--token-file",
        tmp_path / "token",
        "--certificate",
        tmp_path / "cert.pem",
        "--key",
        tmp_path / "key.pem",
    ]
    options = ["--config", tmp_path / "camera.toml", "--unit-folder", tmp_path, *secrets]
    done = linnet("service", "install", small_bundle, *options)
    assert "systemctl enable --now linnet" in done.stdout
    return tmp_path / "linnet.service"


def settings_of(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_serves_the_bundle_with_few_rights(unit: Path, small_bundle: Path) -> None:
    settings = settings_of(unit)
    (command,) = settings["ExecStart"]
    assert f"-m linnet_runtime.cli serve {small_bundle} --host 127.0.0.1 --port 8123" in command
    assert command.endswith("--token-file %d/token-file --certificate %d/certificate --key %d/key")
    assert f"token-file:{unit.parent / 'token'}" in settings["LoadCredential"]
    for key, value in {
        "Type": "notify",
        "DynamicUser": "yes",
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "Restart": "always",
        "CapabilityBoundingSet": "",
    }.items():
        assert settings[key] == [value], key
    assert int(settings["WatchdogSec"][0]) > 0
    assert "char-video4linux rw" in settings["DeviceAllow"]


@needs_systemd
def test_systemd_accepts_the_unit_and_rates_it_safe(unit: Path) -> None:
    verified = subprocess.run([str(SYSTEMD_ANALYZE), "verify", unit], capture_output=True, text=True, check=False)
    assert "linnet.service" not in verified.stderr, verified.stderr
    command = [str(SYSTEMD_ANALYZE), "security", "--offline=true", "--json=short", "--no-pager", unit]
    rated = subprocess.run(command, capture_output=True, text=True, check=False)
    if rated.returncode and "offline" in rated.stderr:
        pytest.skip("this systemd-analyze cannot rate a file")
    exposure = sum(float(row["exposure"] or 0) for row in json.loads(rated.stdout))
    assert exposure <= 2.5, [row for row in json.loads(rated.stdout) if row["exposure"]]


def test_mistakes_are_found_before_anything_is_written(small_bundle: Path, tmp_path: Path) -> None:
    error = one_line_error(linnet("service", "install", tmp_path / "none.linnet", "--unit-folder", tmp_path, status=1))
    assert "none.linnet" in error
    (tmp_path / "camera.toml").write_text('[[camera]]\nsourc = "0"\n')
    options = ["--config", tmp_path / "camera.toml", "--unit-folder", tmp_path]
    assert "sourc" in one_line_error(linnet("service", "install", small_bundle, *options, status=1))
    missing = linnet("service", "install", small_bundle, "--token-file", tmp_path / "none", status=1)
    assert one_line_error(missing).endswith("none: got no such file, expected a file that root can read")
    folder = linnet("service", "install", small_bundle, "--unit-folder", tmp_path / "none", status=1)
    assert one_line_error(folder).endswith("expected a folder that can be written. Fix: run it with sudo, or --print")
    assert not list(tmp_path.glob("*.service"))


def test_a_folder_with_spaces_and_signs_is_quoted(tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / 'a "50 %" $HOME.linnet')
    text = linnet("service", "install", bundle, "--print").stdout
    assert '/a \\"50 %%\\" $$HOME.linnet"' in text


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket on which systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_states_reach_systemd_and_silence_is_no_error(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert notify("READY=1")
    assert systemd.recv(100) == b"READY=1"
    for address in ("", "relative", "/nowhere/at/all"):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "process", "seconds"),
    [("30000000", "", 10.0), ("30000000", "1", None), ("", "", None), ("x", "", None)],
)
def test_the_watchdog_is_for_the_process_that_systemd_names(
    monkeypatch: pytest.MonkeyPatch, microseconds: str, process: str, seconds: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", process)
    assert watchdog_interval_s() == seconds


def test_a_service_is_ready_alive_and_stopping(
    systemd: socket.socket, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    with serving(small_bundle, "--device", "fake", "--source", "synthetic:") as server:
        assert systemd.recv(100) == b"READY=1"
        assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        status, output, errors = server.end(signal.SIGTERM)
        assert (status, errors) == (0, "")
        assert "summary" in json.loads(output)
        states = []
        while not states or states[-1] != b"STOPPING=1":
            states.append(systemd.recv(100))


class Run:
    """A server's cameras on a simulated camera, and what the watchdog asks."""

    def __init__(self, bundle: Path, script: list[Step]) -> None:
        self.models = Models((bundle,), Opening("fake"), 2)
        self.models.load(self.models.first)
        self.cameras = LiveCameras(SinkSettings(), [Camera(lambda: SimulatedCamera(script))])
        self.board = Board(None)
        self.cameras.start(self.models.classifier_of_cameras(), self.board)
        self.pulse = Pulse(self.models, self.cameras, self.board, timeout_s=0.1)

    def wait_for_frames(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.cameras.summary()["frames_classified"] < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self) -> None:
        self.cameras.close()
        self.models.close()


@contextlib.contextmanager
def running(bundle: Path, script: list[Step]) -> Iterator[Run]:
    run = Run(bundle, script)
    try:
        yield run
    finally:
        run.close()


def test_signs_of_life_stop_when_results_stop(small_bundle: Path) -> None:
    go, end = threading.Event(), threading.Event()
    with running(small_bundle, [frame_of(0), go, frame_of(1), end]) as run:
        run.wait_for_frames(1)
        assert run.pulse.beats()
        assert not run.pulse.beats()  # nothing has come since
        go.set()
        run.wait_for_frames(2)
        assert run.pulse.beats()
        assert not run.pulse.beats()
        end.set()


def test_a_camera_that_is_known_to_be_away_is_no_reason_to_restart(small_bundle: Path) -> None:
    end = threading.Event()
    with running(small_bundle, [frame_of(0), end]) as run:
        run.wait_for_frames(1)
        run.pulse.beats()
        run.board.write(Event("offline", at=time.time()))
        assert run.pulse.beats()
        run.board.write(Event("online", at=time.time()))
        assert not run.pulse.beats()
        end.set()


def test_signs_of_life_stop_when_a_request_is_stuck(small_bundle: Path) -> None:
    go = threading.Event()
    models = Models((small_bundle,), Opening("fake"), 2)
    models.load(models.first)
    with contextlib.closing(models), LiveCameras(SinkSettings(), []) as cameras:
        pulse = Pulse(models, cameras, Board(None), timeout_s=0.05)
        assert pulse.beats()
        stuck = models.lane("small").submit(lambda _: go.wait())
        deadline = time.monotonic() + PATIENCE_S
        while pulse.beats():
            assert time.monotonic() < deadline
        go.set()
        assert stuck.result()
        while not pulse.beats():
            assert time.monotonic() < deadline
