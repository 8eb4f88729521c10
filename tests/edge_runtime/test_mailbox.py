"""The mailbox between the threads that read frames and the one that classifies them."""

from __future__ import annotations

import threading

import pytest

from edge_runtime.simulated_camera import frame_of
from linnet_runtime.pipeline.mailbox import _AHEAD, Mailbox
from linnet_runtime.sources import Frame

OLD, NEW, NEWEST = frame_of(0), frame_of(1), frame_of(2)


def mailbox_of(*keep_all: bool) -> Mailbox[Frame, str]:
    return Mailbox(keep_all)


def taken(mailbox: Mailbox[Frame, str]) -> Frame | None:
    """The next frame; None at the end."""
    found = mailbox.get()
    assert found is None or found[0] == []
    return found and found[1]


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    mailbox = mailbox_of(False)
    assert all(mailbox.put(0, frame) for frame in (OLD, NEW, NEWEST))
    assert taken(mailbox) is NEWEST
    assert mailbox.dropped == [2]


def test_a_frame_that_was_taken_is_not_dropped() -> None:
    mailbox = mailbox_of(False)
    for frame in (OLD, NEW):
        mailbox.put(0, frame)
        assert taken(mailbox) is frame
    assert mailbox.dropped == [0]


def test_where_every_frame_matters_the_writer_waits_and_nothing_is_dropped() -> None:
    mailbox = mailbox_of(True)
    frames = [frame_of(i % 3) for i in range(50)]

    def write() -> None:
        for frame in frames:
            mailbox.put(0, frame)
        mailbox.end(0)

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    while (frame := taken(mailbox)) is not None:
        found.append(frame)
    writer.join(20)
    assert [id(frame) for frame in found] == [id(frame) for frame in frames]
    assert mailbox.dropped == [0]


def test_a_fast_camera_does_not_silence_a_slow_one() -> None:
    mailbox = mailbox_of(False, False, False)
    mailbox.put(0, OLD)
    mailbox.put(2, NEWEST)
    assert taken(mailbox) is OLD
    mailbox.put(0, NEW)
    assert taken(mailbox) is NEWEST
    assert taken(mailbox) is NEW


def test_it_ends_when_all_cameras_have() -> None:
    mailbox = mailbox_of(True, True)
    mailbox.end(0)
    mailbox.put(1, OLD)
    mailbox.end(1)
    assert taken(mailbox) is OLD
    assert taken(mailbox) is None


def test_notes_keep_their_order_among_the_frames() -> None:
    mailbox = mailbox_of(False, False)
    mailbox.post("online")
    mailbox.put(0, OLD)
    mailbox.post("offline")
    mailbox.put(1, NEW)
    assert mailbox.get() == (["online"], OLD)
    assert mailbox.get() == (["offline"], NEW)
    mailbox.post("covered")
    mailbox.post("frozen")
    assert mailbox.get() == (["covered", "frozen"], None)


def test_what_comes_first_overtakes_frames_and_other_notes() -> None:
    mailbox = mailbox_of(False)
    mailbox.post("offline")
    mailbox.post("failover", first=True)
    mailbox.post("recalled", first=True)
    assert mailbox.first_notes() == ["failover", "recalled"]
    mailbox.post("failover", first=True)
    assert mailbox.get() == (["failover", "offline"], None)


def test_the_last_frame_can_be_taken_after_the_end_and_then_there_is_none() -> None:
    mailbox = mailbox_of(False)
    mailbox.put(0, OLD)
    mailbox.close()
    assert taken(mailbox) is OLD
    assert taken(mailbox) is None


def test_the_readers_error_comes_out_after_the_last_frame() -> None:
    mailbox = mailbox_of(False)
    mailbox.put(0, OLD)
    mailbox.close(OSError("the camera was unplugged"))
    assert taken(mailbox) is OLD
    with pytest.raises(OSError, match="unplugged"):
        mailbox.get()


def test_a_closed_mailbox_takes_no_frame_and_keeps_its_first_error() -> None:
    mailbox = mailbox_of(False)
    mailbox.close(OSError("first"))
    mailbox.close(OSError("second"))
    assert not mailbox.put(0, OLD)
    with pytest.raises(OSError, match="first"):
        mailbox.get()


@pytest.mark.parametrize("keep_all", [True, False])
def test_closing_wakes_whoever_waits(keep_all: bool) -> None:
    mailbox = mailbox_of(keep_all)
    if keep_all:
        for _ in range(_AHEAD):
            mailbox.put(0, OLD)
    waiting = threading.Thread(target=(lambda: mailbox.put(0, NEW)) if keep_all else mailbox.get)
    waiting.start()
    mailbox.close()
    waiting.join(20)
    assert not waiting.is_alive()
