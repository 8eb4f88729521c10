"""A real HTTP server on this machine that answers as a test wants: what network cameras do, well or badly."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

from edge_runtime.simulated_camera import frame_of


def jpeg(label: int, side: int = 192) -> bytes:
    """A picture that the simulated device gives this label, an index."""
    large = cv2.resize(frame_of(label).pixels, (side, side), interpolation=cv2.INTER_NEAREST)
    done, data = cv2.imencode(".jpg", large)
    assert done
    return data.tobytes()


def part(content: bytes, kind: str = "image/jpeg") -> bytes:
    """A part of an MJPEG stream."""
    return b"--frame\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s\r\n" % (kind.encode(), len(content), content)


class Answer(BaseHTTPRequestHandler):
    """One request to the camera."""

    def status(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def picture(self, content: bytes, kind: str = "image/jpeg") -> None:
        self.status(200, Content_Type=kind, Content_Length=str(len(content)))
        self.wfile.write(content)

    def stream(self, parts: Iterable[bytes]) -> None:
        self.status(200, Content_Type="multipart/x-mixed-replace; boundary=frame")
        for content in parts:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def network_camera(answer: Callable[[Answer, int], None], port: int = 0) -> Iterator[str]:
    """Serves with ``answer``, which gets the request and its number from 1; yields host:port."""
    requests = 0

    class Handler(Answer):
        def do_GET(self) -> None:
            nonlocal requests
            requests += 1
            with contextlib.suppress(ConnectionError):  # the reader may leave first
                answer(self, requests)

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()
