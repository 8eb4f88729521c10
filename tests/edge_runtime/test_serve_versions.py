"""The next version of a bundle: it takes over with no request lost, or the one before stays."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.server_process import RunningServer, serving
from edge_runtime.simulated_camera import picture_of
from edge_runtime.small_bundle import LABELS, edit_manifest, write_small_bundle
from linnet_runtime.bundle import MANIFEST
from program import PATIENCE_S

OTHER = tuple(f"new {label}" for label in LABELS)
LOAD = "/v2/repository/models/small/load"
UNLOAD = "/v2/repository/models/small/unload"


def index_of(server: RunningServer) -> dict[str, Any]:
    (entry,) = server.post("/v2/repository/index", b"").json
    return entry


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_loaded_version_takes_over(small_bundle: Path) -> None:
    with serving(small_bundle, "--device", "fake") as server:
        assert index_of(server) == {"name": "small", "version": "1", "state": "READY", "reason": ""}
        assert server.post(LOAD, {}).json == {"name": "small", "version": "2"}
        assert server.get("/v2/models/small/versions/2").status == 200
        assert server.get("/v2/models/small/versions/1").status == 404
        assert server.get("/v2/models/small").json["versions"] == ["2"]


def test_a_replaced_folder_is_noticed(small_bundle: Path) -> None:
    with serving(small_bundle, "--device", "fake") as server:
        write_small_bundle(small_bundle, overwrite=True, labels=OTHER)
        wait_until(lambda: index_of(server)["version"] == "2")
        assert server.post("/v1/classify", picture_of(1)).json["label"] == "new nut"


def test_no_request_is_lost_while_versions_change(small_bundle: Path) -> None:
    with serving(small_bundle, "--device", "fake", "--queue", 8) as server:
        stop = threading.Event()

        def ask() -> list[int]:
            statuses = []
            while not stop.is_set():
                statuses.append(server.post("/v1/classify", picture_of(1)).status)
            return statuses

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            for _ in range(5):
                assert server.post(LOAD, {}).status == 200
            stop.set()
            statuses = [status for future in asking for status in future.result()]
        assert set(statuses) == {200}
        assert index_of(server)["version"] == "6"


def break_manifest(bundle: Path) -> None:
    edit_manifest(bundle, lambda manifest: manifest.update(temperature=0))


def break_model(bundle: Path) -> None:
    (bundle / "model.int8.tflite").write_bytes(b"another")
    (bundle / MANIFEST).touch()


@pytest.mark.parametrize(("damage", "reason"), [(break_manifest, "$.temperature"), (break_model, "model.int8.tflite")])
def test_a_broken_replacement_keeps_the_old_version_and_is_counted(
    small_bundle: Path, damage: Callable[[Path], None], reason: str
) -> None:
    with serving(small_bundle, "--device", "fake") as server:
        damage(small_bundle)
        wait_until(lambda: bool(index_of(server)["reason"]))
        entry = index_of(server)
        assert (entry["version"], entry["state"]) == ("1", "READY")
        assert reason in entry["reason"]
        assert server.post("/v1/classify", picture_of(1)).json["label"] == "nut"
        refused = server.post(LOAD, {})
        assert refused.status == 400
        assert reason in refused.json["error"]
        assert b'linnet_serve_failed_loads_total{model="small"} 2.0' in server.get("/metrics").body
        write_small_bundle(small_bundle, overwrite=True, labels=OTHER)
        wait_until(lambda: index_of(server) == {"name": "small", "version": "2", "state": "READY", "reason": ""})
        status, _, errors = server.end()
    assert status == 0
    assert f"small: version 1 continues: {small_bundle}" in errors


def test_an_unloaded_model_is_not_ready_until_it_is_loaded(small_bundle: Path) -> None:
    with serving(small_bundle, "--device", "fake") as server:
        assert server.post(UNLOAD, {"parameters": {"unload_dependents": False}}).status == 200
        assert server.get("/v2/health/ready").status == server.get("/v2/models/small/ready").status == 503
        assert server.get("/v2/health/live").status == 200
        assert index_of(server)["state"] == "UNAVAILABLE"
        assert server.post("/v2/repository/index", {"ready": True}).json == []
        refused = server.post("/v1/classify", picture_of(1))
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert server.post(LOAD, b"").status == 200
        assert server.get("/v2/health/ready").status == 200
        assert server.post("/v1/classify", picture_of(1)).status == 200


def test_a_client_cannot_name_a_path_or_a_configuration(small_bundle: Path) -> None:
    with serving(small_bundle, "--device", "fake") as server:
        answer = server.post(LOAD, {"parameters": {"config": "{}"}})
        assert answer.status == 400
        assert "a bundle is loaded from its folder" in answer.json["error"]
        assert server.post("/v2/repository/models/other/load", {}).status == 404
        assert server.post(LOAD, b"[]").status == 400


def test_two_bundles_are_served_by_name(small_bundle: Path, tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "other.linnet", labels=OTHER)
    with serving(small_bundle, tmp_path / "other.linnet", "--device", "fake") as server:
        assert server.post("/v1/classify?model=other", picture_of(1)).json["label"] == "new nut"
        assert server.post("/v1/classify?model=small", picture_of(1)).json["label"] == "nut"
        unnamed = server.post("/v1/classify", picture_of(1))
        assert (unnamed.status, unnamed.json["error"]) == (400, "?model: got none, expected small or other")
