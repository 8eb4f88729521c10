"""Every kind of source passes the public conformance suite, and a plug-in's is loaded like one of Linnet's own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.network_camera import Answer, jpeg, network_camera, part
from edge_runtime.simulated_v4l2 import SimulatedV4l2
from linnet_runtime.sources import SourceError, open_source
from linnet_runtime.testing.source_conformance import SourceConformance
from plugins import install_distribution


class TestPictures(SourceConformance):
    wrong_uri = "nowhere/*.jpg"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        for number in range(4):
            assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((20, 30, 3), number, np.uint8))
        self.uri = str(tmp_path)


class TestVideo(SourceConformance):
    wrong_uri = "nowhere.mp4"

    @pytest.fixture(autouse=True)
    def _clip(self, tmp_path: Path) -> None:
        self.uri = str(tmp_path / "clip.avi")
        writer = cv2.VideoWriter(self.uri, cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
        for value in range(10, 60, 10):
            writer.write(np.full((240, 320, 3), value, np.uint8))
        writer.release()


class TestConveyor(SourceConformance):
    uri, wrong_uri = "synthetic:", "synthetic:?fps=0"


class TestMjpeg(SourceConformance):
    @pytest.fixture(autouse=True)
    def _camera(self) -> Iterator[None]:
        with network_camera(lambda camera, _: camera.stream([part(jpeg(0))] * 5)) as address:
            self.uri, self.wrong_uri = f"http://{address}/", f"http://{address}/?timeout=never"
            yield


class TestSnapshots(SourceConformance):
    @pytest.fixture(autouse=True)
    def _camera(self) -> Iterator[None]:
        def answer(camera: Answer, _: int) -> None:
            camera.picture(jpeg(0) if camera.path == "/snap" else b"")

        with network_camera(answer) as address:
            self.uri, self.wrong_uri = f"http://{address}/snap?every=0.01", f"http://{address}/empty?every=1"
            yield


class TestV4l2(SourceConformance):
    """Simulated: no camera was here."""

    wrong_uri = "v4l2:///dev/video99"

    @pytest.fixture(autouse=True)
    def _camera(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "video0").touch()
        monkeypatch.setattr(cv2, "VideoCapture", SimulatedV4l2([jpeg(0)] * 20).capture)
        self.uri = f"v4l2://{tmp_path}/video0"


class TestPicamera(SourceConformance):
    """Simulated: no camera was here."""

    uri, wrong_uri = "picamera2://0", "picamera2://7"

    @pytest.fixture(autouse=True)
    def _camera(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.syspath_prepend(Path(__file__).with_name("simulated"))
        yield
        sys.modules.pop("picamera2", None)


class TestWatchedFolder(SourceConformance):
    wrong_uri = "watch:/dev/null"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> Iterator[None]:
        """Somebody drops a picture every few milliseconds."""
        self.uri = f"watch:{tmp_path}"
        done = threading.Event()

        def drop() -> None:
            number = 0
            while not done.wait(0.02):
                number += 1
                (tmp_path / "new.tmp").write_bytes(jpeg(number % 3))
                (tmp_path / "new.tmp").rename(tmp_path / f"{number % 50}.jpg")

        dropping = threading.Thread(target=drop)
        dropping.start()
        yield
        done.set()
        dropping.join()


PLUGIN = """
import numpy as np
from linnet_runtime.sources import Frame, SourceError

class Gray:
    live, every_frame, skipped = False, True, 0
    def __init__(self, frames):
        self._left = frames
    def read(self):
        if not self._left:
            return None
        self._left -= 1
        return Frame(np.full((20, 30), 128, np.uint8), "gray")
    def close(self):
        pass

def open_gray(uri):
    if uri == "gray:nowhere":
        raise SourceError(uri, got="nowhere", expected="a number")
    return Gray(int(uri.removeprefix("gray:")))

def open_broken(uri):
    return object()
"""


@pytest.fixture
def _plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "linnet_gray.py").write_text(PLUGIN)
    points = ("gray = linnet_gray:open_gray", "broken = linnet_gray:open_broken", "http = linnet_gray:open_gray")
    install_distribution(tmp_path, "linnet_gray", "1.0", "\n".join(["[linnet.sources]", *points, ""]))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_plugin")
class TestPlugin(SourceConformance):
    uri, wrong_uri = "gray:5", "gray:nowhere"


@pytest.mark.usefixtures("_plugin")
@pytest.mark.parametrize(
    ("uri", "line"),
    [
        (
            "gray:many",
            r"plug-in source gray \(linnet_gray:open_gray\): got ValueError: invalid literal.* Fix: install what",
        ),
        ("broken:1", r"plug-in source broken .*: got a source without live, every_frame, skipped, read, close"),
        ("grey:5", r"source: got 'grey:5', .* Fix: write gray:"),
        ("http:", "got no host"),  # a plug-in cannot take a name of Linnet's own
    ],
)
def test_a_plugin_that_fails_is_one_line_with_its_name(uri: str, line: str) -> None:
    with pytest.raises(SourceError, match=line):
        open_source(uri)
