"""The cameras of a server: what the page is sent, the metrics, and what happens when a model or a setting changes."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.network_camera import Answer, network_camera, part
from edge_runtime.server_process import RunningServer, serving
from edge_runtime.simulated_camera import frame_of
from edge_runtime.small_bundle import LABELS, write_small_bundle
from linnet_runtime.classifier import Classification
from linnet_runtime.results import Event, EventKind, Result
from linnet_runtime.server.board import EVENTS, Board
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.health import duration, health
from linnet_runtime.server.models import Models, Opening
from linnet_runtime.sinks.settings import SinkSettings
from program import PATIENCE_S


@contextlib.contextmanager
def states_of(server: RunningServer) -> Iterator[Iterator[dict[str, Any]]]:
    """The states that the page is sent, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request("GET", "/live/stream")
        response = connection.getresponse()
        assert response.getheader("content-type", "").startswith("text/event-stream")
        yield (json.loads(line[6:]) for line in response if line.startswith(b"data: "))


def first(states: Iterator[dict[str, Any]], holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    for state in states:
        if holds(state):
            return state
        assert time.monotonic() < deadline, state
    raise AssertionError("the stream has ended")


@pytest.fixture
def server(small_bundle: Path) -> Iterator[RunningServer]:
    with serving(small_bundle, "--device", "fake", "--source", "synthetic:", "--region", "0,0,0.5,1") as running:
        yield running


def test_the_page_is_sent_results_times_and_counters(server: RunningServer) -> None:
    with states_of(server) as states:
        state = first(states, lambda state: state["results"] and state["recent"].get("age"))
    (result,) = state["results"]
    assert result["label"] in LABELS
    assert [one["label"] in LABELS for one in result["top"]] == [True] * len(LABELS)
    assert state["cameras"][0]["regions"][0]["rectangle"] == [0, 0, 0.5, 1]
    assert state["counters"]["frames_read"] >= state["counters"]["frames_classified"] >= 1
    assert state["models"][0]["device"] == "fake"
    assert state["health"][0]["level"] == "good"


def test_the_picture_is_the_whole_newest_frame(server: RunningServer) -> None:
    with states_of(server) as states:
        first(states, lambda state: state["results"])
    answer = server.get("/live/picture?camera=")
    assert answer.headers["content-type"] == "image/jpeg"
    picture = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (480, 640, 3)
    assert server.get("/live/picture?camera=other").status == 404
    for number in ("999999", "-1", "9" * 5000, "²"):
        assert server.get(f"/live/snapshots/{quote(number)}").status == 404


def test_a_camera_goes_on_with_the_next_version(server: RunningServer, small_bundle: Path) -> None:
    write_small_bundle(small_bundle, overwrite=True, labels=tuple(f"new {label}" for label in LABELS))
    with states_of(server) as states:
        state = first(states, lambda state: state["results"] and state["results"][0]["label"].startswith("new "))
    assert state["models"][0]["version"] == 2


def test_a_camera_waits_while_the_model_is_unloaded(server: RunningServer) -> None:
    assert server.post("/v2/repository/models/small/unload", {}).status == 200
    with states_of(server) as states:
        state = first(states, lambda state: state["models"][0]["state"] == "UNAVAILABLE")
        assert state["health"][0] == {"level": "error", "text": "small is not loaded."}
        assert server.post("/v2/repository/models/small/load", {}).status == 200
        first(states, lambda state: state["results"])


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"camera": "", "threshold": 0.9999}, 200),
        ({"camera": "other", "threshold": 0.5}, 404),
        ({"camera": "", "threshold": 2}, 400),
        ({"model": "other", "device": "cpu"}, 404),
        ({"camera": "", "threshold": 0.5, "model": "small", "device": "fake"}, 400),
        ({"camera": "", "threshold": 0.5, "model": "small"}, 400),
        ({}, 400),
        ([], 400),
    ],
)
def test_settings_are_changed_or_refused(server: RunningServer, content: object, status: int) -> None:
    assert server.post("/live/settings", content).status == status


def test_a_threshold_changes_while_its_camera_stays_open(small_bundle: Path) -> None:
    """Some cameras take seconds to open, or serve one client at a time."""
    connections, done = [], threading.Event()
    unsure = [cv2.imencode(".jpg", np.full((192, 192, 3), gray, np.uint8))[1].tobytes() for gray in (80, 90)]

    def camera(answer: Answer, number: int) -> None:
        connections.append(number)

        def parts() -> Iterator[bytes]:
            for i in itertools.count():
                yield part(unsure[i % 2])
                if done.wait(0.02):
                    return

        answer.stream(parts())

    with network_camera(camera) as address:
        try:
            source = ("--source", f"http://{address}/?timeout={PATIENCE_S}")
            with serving(small_bundle, "--device", "fake", *source) as server, states_of(server) as states:
                before = first(states, lambda state: state["results"] and state["results"][0]["label"] in LABELS)
                assert server.post("/live/settings", {"camera": "", "threshold": 0.9}).status == 200
                after = first(states, lambda state: state["results"][0]["label"] == "unknown")
        finally:
            done.set()
    assert after["cameras"][0]["threshold"] == 0.9
    assert after["counters"]["frames_read"] > before["counters"]["frames_read"]
    assert connections == [1]


def test_metrics_have_the_server_and_its_cameras(server: RunningServer) -> None:
    with states_of(server) as states:
        first(states, lambda state: state["results"])
    families = {family.name: family for family in text_string_to_metric_families(server.get("/metrics").body.decode())}
    assert families["linnet_serve_model_ready"].samples[0].value == 1
    assert families["linnet_frames_read"].samples[0].value >= 1
    assert families["linnet_placement_ratio"].samples[0].value == 1
    assert sum(sample.value for sample in families["linnet_results"].samples if sample.name.endswith("_total")) >= 1


def test_a_browser_too_many_is_refused_and_a_slow_one_gets_no_backlog(server: RunningServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            slow.sendall(b"GET /live/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert slow.recv(12) == b"HTTP/1.1 200"
        assert server.get("/live/stream").status == 503
    with states_of(server) as states:  # they have gone
        assert first(states, lambda state: state["results"])


def test_the_board_keeps_the_last_events_and_their_snapshots() -> None:
    board = Board(None)
    for i in range(EVENTS + 5):
        board.write(Event("change", at=float(i), label="nut", frame=frame_of(1)))
    shown = board.events()
    assert [one.number for one in shown] == list(range(EVENTS + 5, 5, -1))
    assert all(one.event.frame is None for one in shown)
    assert [one.snapshot is not None for one in board.events()].count(True) <= 2  # they came within an instant


def result(label: str) -> Result:
    logits = np.zeros(len(LABELS), np.float32)
    found = Classification(label, 0.5, ((label, 0.5),), False, logits, "fake", "model", {})
    return Result(1, 0.0, 1.0, found, {}, label, 0.5, picture=frame_of(0))


def test_the_board_has_the_newest_result_of_a_region_until_it_is_cleared() -> None:
    board = Board(None)
    board.write(result("bolt"))
    board.write(result("nut"))
    assert [one["label"] for one in board.results()] == ["nut"]
    board.clear()
    assert board.results() == []


def test_the_state_is_said_in_words(small_bundle: Path) -> None:
    models, board = Models((small_bundle,), Opening("fake"), 1), Board(None)
    with contextlib.closing(models), LiveCameras(SinkSettings(), []) as cameras:

        def said() -> list[tuple[str, str]]:
            return [(one.level, one.text) for one in health(models, cameras, board, 0.0)]

        assert said() == [("error", "small is not loaded.")]
        models.load(models.first)
        assert said()[0] == ("good", "Everything works. No camera is configured: pictures can be sent to /v1/classify.")
        models.first.reason = "$.temperature: got 0"
        assert said() == [("warning", "small: a new version was refused, version 1 continues. $.temperature: got 0")]
        board.write(Event("offline", at=time.time() - 300, camera="gate", reason="no route to host"))
        assert said()[0] == ("error", "gate gives no frames, for 5 min. no route to host")
        board.write(Event("online", at=time.time(), camera="gate"))
        assert [level for level, _ in said()] == ["warning"]


@pytest.mark.parametrize(
    ("begins", "ends"),
    [("offline", "online"), ("frozen", "moving"), ("covered", "uncovered"), ("too_small", "large_enough")],
)
def test_a_cameras_trouble_is_shown_until_it_ends_whatever_else_is_wrong(begins: EventKind, ends: EventKind) -> None:
    board = Board(None)
    others: list[EventKind] = ["offline", "frozen", "covered", "too_small"]
    for kind in others:
        board.write(Event(kind, at=1.0, camera="gate", region="door"))
    board.write(Event(begins, at=2.0, camera="yard", region="door"))
    board.write(Event(ends, at=3.0, camera="gate", region="door"))
    shown = [(event.camera, event.kind) for event in board.troubles()]
    assert shown == [*(("gate", kind) for kind in others if kind != begins), ("yard", begins)]


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (2e5, "2 d")]
)
def test_a_duration_has_one_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
