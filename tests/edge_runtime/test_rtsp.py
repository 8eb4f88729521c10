"""RTSP against a real server, GStreamer's, on this machine."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from linnet_runtime.sources import Frame, Source, SourceError, open_source
from linnet_runtime.testing.source_conformance import SourceConformance

PYTHON = "/usr/bin/python3"  # the system's: apt's bindings are for it
SERVER = Path(__file__).with_name("rtsp_server.py")
NEEDED = "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); " + (
    "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
    "assert all(map(Gst.ElementFactory.find, ('x264enc', 'jpegenc', 'rtph264pay', 'videotestsrc')))"
)


@pytest.fixture(scope="module", autouse=True)
def _needs_a_server() -> None:
    available = (
        Path(PYTHON).exists()
        and not subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, check=False).returncode
    )
    if not available:
        pytest.skip("no RTSP server: apt install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,ugly}")


@contextlib.contextmanager
def serving(port: int = 0, side: int = 192, *more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server as (process, port)."""
    with subprocess.Popen(
        [PYTHON, SERVER, str(port), str(side), *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield server, int(server.stdout.readline())
        finally:
            server.send_signal(signal.SIGCONT)
            server.kill()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """host:port of a server that asks for no login."""
    with serving() as (_, port):
        yield f"127.0.0.1:{port}"


def read(source: Source) -> Frame:
    frame = source.read()
    assert isinstance(frame, Frame)
    return frame


class TestRtsp(SourceConformance):
    @pytest.fixture(autouse=True)
    def _address(self, address: str) -> None:
        self.uri, self.wrong_uri = f"rtsp://{address}/h264?timeout=30", f"rtsp://{address}/nothing"


@pytest.mark.parametrize("path", ["h264?timeout=30", "mjpeg?timeout=30"])
def test_a_stream_gives_frames_in_motion(path: str, address: str) -> None:
    source = open_source(f"rtsp://{address}/{path}")
    assert (source.live, source.every_frame) == (True, False)
    first, *_, last = [read(source) for _ in range(5)]
    source.close()
    assert first.pixels.shape == (192, 192, 3)
    assert first.pixels.max() > 200  # the ball
    assert (first.pixels != last.pixels).any()


def test_a_password_is_used_and_without_it_the_line_has_the_status_and_no_password() -> None:
    with serving(0, 192, "login") as (_, port):
        source = open_source(f"rtsp://admin:s3%2Fcr%40t@127.0.0.1:{port}/h264?timeout=30")
        assert read(source).pixels.shape == (192, 192, 3)
        source.close()
        for login in ("", "admin:wr%2Fong@"):
            with pytest.raises(SourceError, match=r"got .*401 \(?Unauthorized\)?, expected a stream") as refused:
                open_source(f"rtsp://{login}127.0.0.1:{port}/h264")
            assert "wr%2Fong" not in str(refused.value)
            assert "admin" not in str(refused.value)


def test_a_path_that_is_not_there_is_one_line(address: str) -> None:
    with pytest.raises(SourceError, match=r"/nothing: got .*404 \(?Not Found\)?, expected a stream that OpenCV"):
        open_source(f"rtsp://{address}/nothing")


def test_a_killed_server_ends_the_source_and_another_size_is_accepted_when_it_is_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving() as (server, port):
        uri = f"rtsp://127.0.0.1:{port}/h264?timeout=30"
        source = open_source(uri)
        read(source)
        server.kill()
        while source.read() is not None:
            pass  # what had arrived
        source.close()
    with pytest.raises(SourceError, match="Connection refused"):
        open_source(uri)
    with serving(port, 320):
        source = open_source(uri)
        assert read(source).pixels.shape == (320, 320, 3)
        source.close()
    assert " @ 0x" not in capfd.readouterr().err  # in FFmpeg's lines


def test_a_stalled_stream_ends_and_gives_no_frame_that_it_had_held_back() -> None:
    with serving() as (server, port):
        source = open_source(f"rtsp://127.0.0.1:{port}/h264?timeout=5")
        for _ in range(10):
            read(source)
        server.send_signal(signal.SIGSTOP)
        late = list(iter(source.read, None))
        source.close()
    assert len(late) <= 5  # what had arrived; the decoder's own frames would be further ones
