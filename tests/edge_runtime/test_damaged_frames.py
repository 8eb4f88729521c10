"""A damaged frame is left out and counted, and is never a picture: streams, snapshots and folders."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import linnet_runtime.pipeline.camera
import linnet_runtime.sources.http_camera
from edge_runtime.network_camera import Answer, jpeg, network_camera, part
from linnet_runtime import Classifier
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.sources import NO_FRAME_YET, Frame, Source, SourceError, open_source
from linnet_runtime.sources.jpeg_stream import JpegStream

BOLT, WASHER = jpeg(0), jpeg(2)
SCAN = WASHER.index(b"\xff\xda")  # where the header ends
HUGE = WASHER.replace(struct.pack(">HH", 192, 192), struct.pack(">HH", 30_000, 30_000), 1)


def pictures_of(stream: JpegStream, data: bytes) -> list[bytes]:
    stream.feed(data)
    found = []
    while (picture := stream.next_picture()) is not None:
        found.append(picture)
    return found


def decoded(picture: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)


def read_all(source: Source) -> list[int]:
    """Which label each frame shows, to the source's end."""
    labels = []
    while (frame := source.read()) is not None:
        if isinstance(frame, Frame):
            labels.append(int(frame.pixels[96, [32, 96, 160], 0].argmax()))
    source.close()
    return labels


def with_thumbnail(picture: bytes) -> bytes:
    """The picture with a segment that holds a thumbnail with markers of its own, as EXIF does."""
    thumbnail = cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
    return picture[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + picture[2:]


@pytest.mark.parametrize("picture", [WASHER, with_thumbnail(WASHER)], ids=["plain", "thumbnail"])
def test_a_picture_cut_anywhere_is_counted_and_loses_no_other(picture: bytes) -> None:
    """Every cut in the header and some in the scan; the next picture may begin inside what a segment claims to be."""
    for cut in [*range(3, picture.rindex(b"\xff\xda") + 20), len(picture) // 2, len(picture) - 1]:
        stream = JpegStream("frame")
        data = part(BOLT) + part(picture[:cut]) + part(BOLT) + part(BOLT) + b"--frame\r\n" + bytes(70_000)
        assert pictures_of(stream, data) == [BOLT] * 3, cut
        assert stream.skipped == 1, cut


def test_without_a_boundary_a_cut_picture_is_no_picture_either() -> None:
    """What follows is lost only where the cut is in an application segment, in which a thumbnail could stand."""
    tables = WASHER.index(b"\xff\xdb")
    for cut in [*range(3, SCAN + 20), len(WASHER) // 2]:
        stream = JpegStream()
        found = pictures_of(stream, BOLT + WASHER[:cut] + BOLT + BOLT + bytes(70_000))
        assert all(np.array_equal(decoded(picture), decoded(BOLT)) for picture in found), cut
        assert len(found) == 3 or cut < tables + 4, cut
        assert len(found) + stream.skipped >= 3 or cut < tables, cut


@pytest.mark.parametrize("size", [1, 5, 997])
def test_parts_without_a_picture_are_counted_whatever_the_pieces(size: int) -> None:
    data = part(BOLT) + part(b"") + part(BOLT) + part(b"GIF89a", "image/gif") + part(b"", "text/plain") + part(BOLT)
    stream, found = JpegStream("--frame"), []  # some cameras give the boundary with its dashes
    for start in range(0, len(data), size):
        found += pictures_of(stream, data[start : start + size])
    assert found == [BOLT] * 3
    assert stream.skipped == 3


def test_every_third_frame_cut_in_half_is_never_labelled(capfd: pytest.CaptureFixture[str]) -> None:
    """Cut as the network cuts, and cut by a camera that puts an end behind what it has."""

    def answer(camera: Answer, _: int) -> None:
        half = WASHER[: len(WASHER) // 2]
        camera.stream(part(BOLT) + part(BOLT) + part(half + b"\xff\xd9" * (number % 2)) for number in range(1, 16))

    with network_camera(answer) as address:
        source = open_source(f"http://{address}/")
        assert read_all(source) == [0] * 30
        assert source.skipped == 15
    assert capfd.readouterr().err == ""  # "Corrupt JPEG data: premature end of data segment"


def test_a_part_that_is_empty_or_no_jpeg_does_not_end_the_stream() -> None:
    def answer(camera: Answer, _: int) -> None:
        camera.stream([part(b""), *[part(BOLT), part(b"no picture", "text/plain"), part(b"")] * 13])

    with network_camera(answer) as address:
        source = open_source(f"http://{address}/")
        assert read_all(source) == [0] * 13
        assert source.skipped == 25  # one before the first, two between two; the end of the last is not known


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (HUGE, "got 30000 x 30000 pixels, expected a stream of JPEG pictures"),
        (b"no picture", r"got multipart/x-mixed-replace without a whole JPEG picture in 2 s, expected a stream"),
    ],
)
def test_a_stream_without_a_usable_frame_is_one_line_with_the_reason(content: bytes, line: str) -> None:
    with (
        network_camera(lambda camera, _: camera.stream([part(content)] * 3)) as address,
        pytest.raises(SourceError, match=line),
    ):
        open_source(f"http://{address}/")


def test_a_picture_of_900_million_pixels_is_left_out() -> None:
    with network_camera(lambda camera, _: camera.stream([part(BOLT), part(HUGE), part(BOLT)])) as address:
        source = open_source(f"http://{address}/")
        assert read_all(source) == [0, 0]
        assert source.skipped == 1


def test_a_slow_stream_is_an_error_that_names_the_option_and_is_read_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linnet_runtime.sources.http_camera, "TIMEOUT_S", 0.2)
    paths = []

    def answer(camera: Answer, number: int) -> None:
        paths.append(camera.path)
        camera.stream(slow() if number == 1 else [part(BOLT)] * 3)

    def slow() -> Iterator[bytes]:
        yield part(BOLT)[:100]
        waiting.wait(20)

    waiting = threading.Event()
    with network_camera(answer) as address:
        with pytest.raises(SourceError, match=r"whole JPEG picture in 0\.2 s, .* Fix: timeout=10 in the query"):
            open_source(f"http://{address}/live?profile=1&x=a%20b")
        waiting.set()
        assert read_all(open_source(f"http://{address}/live?profile=1&timeout=30&x=a%20b")) == [0] * 3
    assert paths == ["/live?profile=1&x=a%20b"] * 2  # the option is not the camera's


def test_snapshots_are_asked_for_and_bad_answers_are_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    def answer(camera: Answer, number: int) -> None:
        assert camera.path == "/snap?channel=1"
        if number in (2, 6):
            camera.status(503)
        elif number == 4:
            camera.picture(WASHER[: len(WASHER) // 2] + b"\xff\xd9")
        elif number == 5:
            camera.picture(b"")
        else:
            camera.picture(jpeg(number % 3))

    with network_camera(answer) as address:
        source = open_source(f"http://{address}/snap?channel=1&every=0.01")
        assert source.live
        labels: list[int] = []
        while len(labels) < 4:
            frame = source.read()
            assert frame is not None
            if frame is not NO_FRAME_YET:
                labels.append(int(frame.pixels[96, [32, 96, 160], 0].argmax()))
        source.close()
    assert labels == [number % 3 for number in (1, 3, 7, 8)]
    assert source.skipped == 4
    assert capfd.readouterr().err == ""


def test_a_snapshot_camera_that_stays_away_is_lost() -> None:
    with network_camera(lambda camera, number: camera.picture(BOLT) if number == 1 else camera.status(500)) as address:
        source = open_source(f"http://{address}/?every=0.01")
        assert read_all(source) == [0]  # and it ends
        assert source.skipped == 3


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("every=1", "got HTTP status 401 Unauthorized, expected a stream"),
        ("every=now", "source: got every=now, expected every= and a positive number"),
        ("every=-1", "source: got every=-1, expected every= and a positive number"),
        ("timeout=0", "source: got timeout=0, expected timeout= and a positive number"),
    ],
)
def test_a_snapshot_address_that_does_not_work_is_one_line(query: str, line: str) -> None:
    with (
        network_camera(lambda camera, _: camera.status(401, WWW_Authenticate='Basic realm="cam"')) as address,
        pytest.raises(SourceError, match=line),
    ):
        open_source(f"http://{address}/?{query}")


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
        (b"<html>", "text/html", "got a web page, expected a picture"),
        (HUGE, "image/jpeg", "got 30000 x 30000 pixels, expected a picture"),
        (b"no picture", "image/jpeg", "got 10 bytes that start with b'no picture', expected a picture"),
    ],
)
def test_a_snapshot_that_is_no_picture_is_one_line(content: bytes, kind: str, line: str) -> None:
    with (
        network_camera(lambda camera, _: camera.picture(content, kind)) as address,
        pytest.raises(SourceError, match=line),
    ):
        open_source(f"http://{address}/?every=1")


@pytest.mark.parametrize("status", [401, 404])
def test_a_status_is_the_reason_on_a_reconnection_too(
    status: int, small_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(linnet_runtime.pipeline.camera, "_SHORTEST_BACKOFF_S", 0.01)

    def answer(camera: Answer, number: int) -> None:
        if number == 2:
            camera.status(status)
        else:
            camera.stream([part(jpeg(number - 1))] * 3)

    with (
        caplog.at_level(logging.WARNING, "linnet"),
        network_camera(answer) as address,
        Classifier.open(small_bundle, "fake") as classifier,
        Pipeline(lambda: open_source(f"http://{address}/live"), classifier) as pipeline,
    ):
        for result in pipeline:
            if result.label == "washer":
                break
    (line,) = [message for message in caplog.messages if "still lost" in message]
    assert f"got HTTP status {status}" in line


def test_a_folder_leaves_out_every_third_picture_which_is_cut(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(9):
        cut = WASHER[: len(WASHER) // 2] + b"\xff\xd9" * (number % 2)
        (tmp_path / f"{number}.jpg").write_bytes(cut if number % 3 == 2 else BOLT)
    source = open_source(str(tmp_path))
    assert read_all(source) == [0] * 6
    assert source.skipped == 3
    assert "premature" not in capfd.readouterr().err
