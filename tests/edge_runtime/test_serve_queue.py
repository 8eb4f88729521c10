"""The queue of a bundle is bounded: what goes beyond it is refused at once, and what is accepted is answered."""

from __future__ import annotations

import concurrent.futures
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.server_process import serving
from edge_runtime.simulated_camera import picture_of
from linnet_runtime.classifier import Classifier
from linnet_runtime.server.answers import Busy
from linnet_runtime.server.lane import Lane


def name_of_thread(_: Classifier) -> str:
    return threading.current_thread().name


def test_one_thread_opens_and_uses_the_bundle(small_bundle: Path) -> None:
    opened_in = []

    def open_classifier() -> Classifier:
        opened_in.append(threading.current_thread().name)
        return Classifier.open(small_bundle, "fake")

    with Lane(open_classifier, most_waiting=1) as lane:
        assert [lane.submit(name_of_thread).result()] == opened_in
    assert threading.current_thread().name not in opened_in


def test_requests_beyond_the_bound_are_refused_and_the_others_are_answered(small_bundle: Path) -> None:
    go, begun = threading.Event(), threading.Event()

    def wait(_: Classifier) -> int:
        begun.set()
        go.wait()
        return 1

    with Lane(lambda: Classifier.open(small_bundle, "fake"), most_waiting=2) as lane:
        accepted = [lane.submit(wait)]
        begun.wait()
        accepted += [lane.submit(wait), lane.submit(wait)]
        assert lane.held == 3
        with pytest.raises(Busy, match="got 3 requests, expected less than 3"):
            lane.submit(wait)
        with pytest.raises(Busy):
            lane.refuse_if_full()
        assert accepted[2].cancel()  # its client has gone
        go.set()
        assert [future.result() for future in accepted[:2]] == [1, 1]
    assert lane.held == 0


def test_closing_answers_what_is_queued_first(small_bundle: Path) -> None:
    go = threading.Event()
    lane = Lane(lambda: Classifier.open(small_bundle, "fake"), most_waiting=2)
    accepted = [lane.submit(lambda _: go.wait()), lane.submit(lambda _: True)]
    closing = threading.Thread(target=lane.close)
    closing.start()
    go.set()
    closing.join()
    assert [future.result() for future in accepted] == [True, True]
    with pytest.raises(Busy):
        lane.submit(lambda _: True)


def test_an_error_of_one_request_is_its_own(small_bundle: Path) -> None:
    with Lane(lambda: Classifier.open(small_bundle, "fake"), most_waiting=1) as lane:
        with pytest.raises(ZeroDivisionError):
            lane.submit(lambda _: 1 / 0).result()
        assert lane.submit(lambda _: 1).result() == 1


def test_a_full_queue_is_503_with_retry_after(small_bundle: Path) -> None:
    large = cv2.imencode(".png", np.zeros((6000, 8000), np.uint8))[1].tobytes()  # a second of decoding
    with (
        serving(small_bundle, "--device", "fake", "--queue", 0) as server,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        refused = None
        while refused is None:
            decoding = pool.submit(server.post, "/v1/classify", large)
            while refused is None and not decoding.done():
                answer = server.post("/v1/classify", picture_of(1))
                refused = answer if answer.status == 503 else None
            assert decoding.result().status in (200, 503)
        assert refused.headers["retry-after"] == "1"
        assert "the server is busy: got 1 requests" in refused.json["error"]
        assert server.post("/v1/classify", picture_of(1)).status == 200
        metrics = server.get("/metrics").body.decode()
    assert 'linnet_serve_requests_total{model="small",status="503"}' in metrics
    assert 'linnet_serve_queue{model="small"} 0.0' in metrics
