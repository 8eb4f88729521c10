"""The mailbox between the thread that reads frames and the one that classifies them."""

from __future__ import annotations

import threading

import pytest

from edge_runtime.simulated_camera import frame_of
from linnet_runtime.mailbox import Mailbox

OLD, NEW, NEWEST = frame_of(0), frame_of(1), frame_of(2)


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    mailbox = Mailbox(keep_all=False)
    assert all(mailbox.put(frame) for frame in (OLD, NEW, NEWEST))
    assert mailbox.get() is NEWEST
    assert mailbox.dropped == 2


def test_a_frame_that_was_taken_is_not_dropped() -> None:
    mailbox = Mailbox(keep_all=False)
    for frame in (OLD, NEW):
        mailbox.put(frame)
        assert mailbox.get() is frame
    assert mailbox.dropped == 0


def test_where_every_frame_matters_the_writer_waits_and_nothing_is_dropped() -> None:
    mailbox = Mailbox(keep_all=True)
    frames = [frame_of(i % 3) for i in range(50)]

    def write() -> None:
        for frame in frames:
            mailbox.put(frame)
        mailbox.close()

    writer = threading.Thread(target=write)
    writer.start()
    taken = []
    while (frame := mailbox.get()) is not None:
        taken.append(frame)
    writer.join(20)
    assert [id(frame) for frame in taken] == [id(frame) for frame in frames]
    assert mailbox.dropped == 0


def test_the_last_frame_can_be_taken_after_the_end_and_then_there_is_none() -> None:
    mailbox = Mailbox(keep_all=False)
    mailbox.put(OLD)
    mailbox.close()
    assert mailbox.get() is OLD
    assert mailbox.get() is None


def test_the_readers_error_comes_out_after_the_last_frame() -> None:
    mailbox = Mailbox(keep_all=False)
    mailbox.put(OLD)
    mailbox.close(OSError("the camera was unplugged"))
    assert mailbox.get() is OLD
    with pytest.raises(OSError, match="unplugged"):
        mailbox.get()


def test_a_closed_mailbox_takes_no_frame_and_keeps_its_first_error() -> None:
    mailbox = Mailbox(keep_all=False)
    mailbox.close(OSError("first"))
    mailbox.close(OSError("second"))
    assert not mailbox.put(OLD)
    with pytest.raises(OSError, match="first"):
        mailbox.get()


@pytest.mark.parametrize("keep_all", [True, False])
def test_closing_wakes_whoever_waits(keep_all: bool) -> None:
    mailbox = Mailbox(keep_all=keep_all)
    if keep_all:
        mailbox.put(OLD)
    waiting = threading.Thread(target=(lambda: mailbox.put(NEW)) if keep_all else mailbox.get)
    waiting.start()
    mailbox.close()
    waiting.join(20)
    assert not waiting.is_alive()
