"""Network streams: a real server on this machine with the habits of cameras, good and bad."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import linnet_runtime.pipeline.camera
import linnet_runtime.sources.http_camera
from edge_runtime.network_camera import jpeg
from linnet_runtime import Classifier
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.sources import SourceError, open_source
from linnet_runtime.sources.http_login import authorization
from linnet_runtime.sources.jpeg_stream import JpegStream
from program import linnet, one_line_error

FRAMES = 5  # on each connection


BOUNDARY = b"--frame\r\n"
TYPE = b"Content-Type: image/jpeg\r\n"


def length(picture: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(picture)


# How cameras put a picture into their stream; each is a habit of real ones.
HABITS: dict[str, Callable[[bytes], bytes]] = {
    "lengths": lambda picture: BOUNDARY + TYPE + length(picture) + b"\r\n" + picture + b"\r\n",
    "no-lengths": lambda picture: BOUNDARY + TYPE + b"\r\n" + picture + b"\r\n",
    "boundary-behind": lambda picture: TYPE + length(picture) + b"\r\n" + picture + b"\r\n" + BOUNDARY,
    "line-feeds": lambda picture: b"--frame\n" + TYPE.replace(b"\r", b"") + b"\n" + picture + b"\n",
    "wrong-lengths": lambda picture: BOUNDARY + TYPE + length(picture[50:]) + b"\r\n" + picture + b"\r\n",
    "pictures-only": lambda picture: picture,
}


class Camera(BaseHTTPRequestHandler):
    """/ends: bolts, and then the end. /drops: bolts, then half a washer, and the connection breaks off.
    /halves: half a washer before each bolt. /silent: never answers. /HABIT: bolts in that habit.
    /snapshot, /page, /text: no stream. /basic, /digest: bolts for admin with the password "s3/cr@t".
    """

    connections = 0
    left_waiting = False
    done = threading.Event()

    def do_GET(self) -> None:
        path = self.path.strip("/").partition("?")[0]
        if path == "silent":
            type(self).left_waiting = not self.done.wait(20)
        elif path == "snapshot":
            self.answer("image/jpeg", jpeg(0))
        elif path == "page":
            self.answer("text/html; charset=utf-8", b"<html><img src='/ends'></html>")
        elif path == "moved":
            self.send_response(302)
            self.send_header("Location", "/lengths")
            self.end_headers()
        elif path in ("basic", "digest") and not self.logged_in(path):
            self.send_response(401)
            challenge = 'Basic realm="cam"' if path == "basic" else 'Digest realm="cam", nonce="0a1b", qop="auth"'
            self.send_header("WWW-Authenticate", challenge)
            self.end_headers()
        elif path in ("ends", "drops", "halves", "basic", "digest", *HABITS):
            self.stream(path)
        else:
            self.send_error(404)

    def answer(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def logged_in(self, scheme: str) -> bool:
        sent = self.headers.get("Authorization", "")
        if scheme == "basic":
            return sent == "Basic " + base64.b64encode(b"admin:s3/cr@t").decode()
        fields = dict(re.findall(r'(\w+)="?([^",]*)"?', sent))
        first, second = (
            hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            for text in ("admin:cam:s3/cr@t", f"GET:{self.path}")
        )
        between = ":".join(fields.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        expected = hashlib.md5(f"{first}:{between}:{second}".encode(), usedforsecurity=False).hexdigest()
        return fields.get("response") == expected

    def stream(self, path: str) -> None:
        type(self).connections += 1
        self.send_response(200)
        kind = "image/jpeg" if path == "pictures-only" else "multipart/x-mixed-replace; boundary=frame"
        self.send_header("Content-Type", kind)
        self.end_headers()
        framed = HABITS.get(path, HABITS["lengths"])
        bolt, washer = jpeg(0), jpeg(2)
        with contextlib.suppress(ConnectionError):  # the reader may leave first
            for _ in range(FRAMES):
                if path == "halves":
                    self.wfile.write(framed(washer[: len(washer) // 2]))
                self.wfile.write(framed(bolt))
            if path == "drops":
                self.wfile.write(BOUNDARY + TYPE + length(washer) + b"\r\n" + washer[: len(washer) * 3 // 4])

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


def labels_of(address: str) -> list[int]:
    """Which label each frame of a stream shows, to its end."""
    source = open_source(address)
    labels = []
    while (frame := source.read()) is not None:
        assert frame.pixels.shape == (192, 192, 3)
        labels.append(int(frame.pixels[96, [32, 96, 160], 0].argmax()))
    source.close()
    return labels


@pytest.mark.parametrize("path", ["ends", "drops", "halves", "moved", *HABITS])
def test_every_habit_of_cameras_gives_its_whole_frames(path: str, server: str) -> None:
    labels = labels_of(f"http://{server}/{path}")
    # A second picture has to be read before it is sure that pictures alone are a stream.
    assert labels == [0] * (FRAMES - 1 if path == "pictures-only" else FRAMES)


@pytest.mark.parametrize("path", ["basic", "digest"])
def test_a_camera_that_asks_for_a_password_gets_it(path: str, server: str) -> None:
    assert labels_of(f"http://admin:s3%2Fcr%40t@{server}/{path}") == [0] * FRAMES


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("basic", "got HTTP status 401 Unauthorized, expected a stream. Fix: http://USER:PASSWORD@HOST/PATH"),
        ("digest", "got HTTP status 401 Unauthorized, expected a stream. Fix: http://USER:PASSWORD@HOST/PATH"),
        (
            "nothing",
            "got HTTP status 404 Not Found, expected a stream. Fix: the path of the stream, which the camera's",
        ),
        ("snapshot", "got a single picture (image/jpeg), expected a stream. Fix: the camera's MJPEG or RTSP address"),
        ("page", "got a web page, expected a stream. Fix: the address of the stream itself"),
    ],
)
def test_an_answer_that_is_no_stream_is_one_line_with_the_reason(path: str, line: str, server: str) -> None:
    with pytest.raises(SourceError) as refused:
        open_source(f"http://{server}/{path}")
    assert str(refused.value).startswith(f"http://{server}/{path}: {line}")


@pytest.mark.parametrize("path", ["basic", "digest", "nothing?user=admin&pwd=wr%2Fong"])
def test_a_wrong_password_is_in_no_message(path: str, server: str) -> None:
    with pytest.raises(SourceError) as refused:
        open_source(f"http://admin:wr%2Fong@{server}/{path}")
    assert "got HTTP status 40" in str(refused.value)
    assert "wr%2Fong" not in str(refused.value)
    assert "admin" not in str(refused.value)


@pytest.mark.parametrize("address", ["http://", "http://admin:wr/ong@host/live", "ftp://admin:wr/ong@host/live"])
def test_an_address_that_cannot_be_understood_is_one_line_without_the_password(address: str) -> None:
    with pytest.raises(SourceError) as refused:
        open_source(address)
    assert "wr/ong" not in str(refused.value)


@pytest.mark.parametrize(
    ("challenges", "start"),
    [
        (['Basic realm="cam"'], "Basic YWRtaW46cw=="),
        (['Basic realm="cam"', 'Digest realm="cam", nonce="n", qop="auth"'], "Digest username="),
        (['Basic realm="cam", Digest realm="cam", nonce="n", qop="auth,auth-int"'], "Digest username="),
        (['Digest realm="cam", nonce="n"'], "Digest username="),  # the older RFC 2069
        (['Digest realm="cam", nonce="n", qop="auth", algorithm=SHA-256'], "Digest username="),
        (['Digest realm="cam", nonce="n", algorithm=SHA-512-256', 'Basic realm="cam"'], "Basic "),
        (["Bearer realm=cam"], None),
        ([], None),
    ],
)
def test_the_safest_login_that_the_camera_offers_is_used(challenges: list[str], start: str | None) -> None:
    found = authorization(challenges, "/live", "admin", "s")
    assert found is None if start is None else found is not None and found.startswith(start)


def test_any_cut_of_a_stream_into_pieces_gives_the_same_pictures() -> None:
    """The pictures have a thumbnail with markers of its own, as in EXIF, and stand between stray bytes."""
    thumbnail, picture = jpeg(1), jpeg(0)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    picture = picture[:2] + segment + picture[2:]
    data = b"\xff\xd8 stray \xff" + picture + b"\xff\xff" + picture[:-200] + picture + b"--frame--"
    for size in (1, 7, 1000, len(data)):
        stream, found = JpegStream(), []
        for start in range(0, len(data), size):
            stream.feed(data[start : start + size])
            while (whole := stream.next_picture()) is not None:
                found.append(whole)
        assert found == [picture, picture]


def test_an_mjpeg_stream_is_live_and_gives_what_the_camera_sent(server: str) -> None:
    source = open_source(f"http://{server}/ends")
    assert source.live
    frame = source.read()
    source.close()
    assert frame is not None
    assert frame.pixels.shape == (192, 192, 3)
    assert abs(int(frame.pixels[96, 20, 0]) - 200) < 10


@pytest.mark.parametrize("path", ["ends", "drops", "halves"])
def test_a_stream_that_breaks_off_is_opened_again_and_no_half_frame_is_classified(
    path: str, server: str, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linnet_runtime.pipeline.camera, "_SHORTEST_BACKOFF_S", 0.01)
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
    done = linnet("run", small_bundle, "--device", "fake", "--source", uri, status=2)
    error = one_line_error(done)
    assert error.startswith(f"{scheme}://127.0.0.1:{closed_port}/live: got ")
    assert "Connection refused" in error
    assert "s3cret" not in done.stderr + done.stdout
    assert "admin" not in done.stderr + done.stdout


def test_a_page_that_is_not_there_is_one_line(server: str, small_bundle: Path) -> None:
    done = linnet("run", small_bundle, "--device", "fake", "--source", f"http://{server}/nothing", status=2)
    assert one_line_error(done).startswith(f"http://{server}/nothing: got HTTP status 404 Not Found")


def test_a_camera_that_never_answers_is_given_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linnet_runtime.sources.http_camera, "TIMEOUT_S", 0.2)
    with pytest.raises(SourceError, match=r"got no answer within 0\.2 s, expected a stream"):
        open_source(f"http://{server}/silent")
    assert not Camera.left_waiting  # it was the source that gave up
