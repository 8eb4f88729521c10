"""Each habit of shared/cases/mjpeg_server.py: its frames, or the reason why there are none; and the clip that this
OpenCV cannot decode.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from linnet_runtime import open_source, read_picture
from linnet_runtime.sources import SourceError
from program import CASES, DATA, needs_cases, needs_data

pytestmark = [needs_cases, needs_data]
PHOTO = DATA / "photos" / "trash" / "glass" / "glass1.jpg"
ON_A_FREE_PORT = """
import http.server, runpy, sys

class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address, handler):
        super().__init__((address[0], 0), handler)
        print(self.server_port, flush=True)

http.server.ThreadingHTTPServer = Server
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of the server."""
    command = [sys.executable, "-c", ON_A_FREE_PORT, CASES / "mjpeg_server.py", PHOTO]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        yield f"http://127.0.0.1:{int(serving.stdout.readline())}"
        serving.terminate()


@pytest.mark.parametrize(
    "habit", ["redir", "flask", "dash", "quoted", "esp", "lf", "wronglen", "corrupt", "noct", "stop", "lengths"]
)
def test_a_camera_gives_its_frames_whole(habit: str, server: str) -> None:
    """The habit "esp" writes the boundary behind each part, and "corrupt" sends half of every second picture."""
    expected = read_picture(PHOTO)
    with open_source(f"{server}/{habit}?timeout=60") as source:
        for _ in range(4):
            frame = source.read()
            assert frame is not None
            np.testing.assert_array_equal(frame.pixels, expected)


def test_a_camera_that_stops_has_ended(server: str) -> None:
    """After nine pictures, and none of them is repeated."""
    with open_source(f"{server}/stop?timeout=60") as source:
        frames = list(iter(source.read, None))
    assert len(frames) == 9


@pytest.mark.parametrize(
    ("habit", "reason"),
    [
        ("401", "got HTTP status 401 Unauthorized"),
        ("404", "got HTTP status 404 Not Found"),
        ("snap", "got a single picture"),
        ("html", "got a web page"),
        ("hang", "got no answer within 1 s"),
    ],
)
def test_what_is_no_stream_is_refused_with_the_reason(habit: str, reason: str, server: str) -> None:
    with pytest.raises(SourceError) as refused:
        open_source(f"{server}/{habit}" + "?timeout=1" * (habit == "hang"))
    assert f"{server}/{habit}: {reason}" in str(refused.value)


def test_a_clip_that_opencv_cannot_decode_is_refused_with_its_codec_and_a_fix() -> None:
    with pytest.raises(SourceError, match=r"av1\.mp4: got .*AV1.*Fix: "):
        open_source(str(CASES / "av1.mp4"))
