"""Network streams: a real MJPEG server on this machine that ends, drops the connection or never answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest

import linnet_runtime.pipeline
import linnet_runtime.sources.opencv
from edge_runtime.simulated_camera import frame_of
from linnet_runtime import Classifier
from linnet_runtime.pipeline import Pipeline
from linnet_runtime.sources import SourceError, open_source
from program import PATIENCE_S, linnet, one_line_error

FRAMES = 5  # on each connection


def jpeg(label: int) -> bytes:
    large = cv2.resize(frame_of(label).pixels, (192, 192), interpolation=cv2.INTER_NEAREST)
    done, data = cv2.imencode(".jpg", large)
    assert done
    return data.tobytes()


class Camera(BaseHTTPRequestHandler):
    """/ends: bolts, and then the end. /drops: bolts, then half a washer, and the connection breaks off.
    /silent: never answers.
    """

    connections = 0
    left_waiting = False
    done = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/silent":
            type(self).left_waiting = not self.done.wait(PATIENCE_S)
            return
        if self.path not in ("/ends", "/drops"):
            self.send_error(404)
            return
        type(self).connections += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the reader may leave first
            for _ in range(FRAMES):
                self.part(jpeg(0), cut=False)
            if self.path == "/drops":
                self.part(jpeg(2), cut=True)

    def part(self, picture: bytes, *, cut: bool) -> None:
        self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
        self.wfile.write(picture[: len(picture) * 3 // 4] if cut else picture + b"\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a camera on the loopback interface, host:port."""
    Camera.connections, Camera.left_waiting = 0, False
    Camera.done.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"127.0.0.1:{server.server_port}"
        Camera.done.set()
        server.shutdown()
        serving.join()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def test_an_mjpeg_stream_is_live_and_gives_what_the_camera_sent(server: str) -> None:
    source = open_source(f"http://{server}/ends")
    assert source.live
    frame = source.read()
    source.close()
    assert frame is not None
    assert frame.pixels.shape == (192, 192, 3)
    assert abs(int(frame.pixels[96, 20, 0]) - 200) < 10


@pytest.mark.skipif(cv2.__version__.startswith("4.11"), reason="OpenCV 4.11.0 does not read FFmpeg's options")
@pytest.mark.parametrize("path", ["ends", "drops"])
def test_a_stream_that_breaks_off_is_opened_again_and_no_half_frame_is_classified(
    path: str, server: str, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linnet_runtime.pipeline, "_FIRST_BACKOFF_S", 0.01)
    labels = []
    with (
        Classifier.open(small_bundle, "fake") as classifier,
        Pipeline(lambda: open_source(f"http://{server}/{path}"), classifier) as pipeline,
    ):
        for result in pipeline:
            labels.append(result.classification.label)
            if Camera.connections >= 4:
                break
        summary = pipeline.summary()
    assert set(labels) == {"bolt"}
    assert int(str(summary["source_reopened"])) >= 2


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_an_address_that_refuses_is_one_line_with_the_reason_and_without_the_password(
    scheme: str, closed_port: int, small_bundle: Path
) -> None:
    uri = f"{scheme}://admin:s3cret@127.0.0.1:{closed_port}/live"
    done = linnet("run", small_bundle, "--device", "fake", "--source", uri, status=1)
    error = one_line_error(done)
    assert error.startswith(f"{scheme}://127.0.0.1:{closed_port}/live: got ")
    assert "Connection refused" in error
    assert "s3cret" not in done.stderr + done.stdout
    assert "admin" not in done.stderr + done.stdout


def test_a_page_that_is_not_there_is_one_line(server: str, small_bundle: Path) -> None:
    done = linnet("run", small_bundle, "--device", "fake", "--source", f"http://{server}/nothing", status=1)
    assert one_line_error(done).startswith(f"http://{server}/nothing: got ")


def test_a_camera_that_never_answers_is_given_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linnet_runtime.sources.opencv, "_TIMEOUT_MS", 200)
    with pytest.raises(SourceError, match="expected a stream that OpenCV can read"):
        open_source(f"http://{server}/silent")
    assert not Camera.left_waiting  # it was the source that gave up
