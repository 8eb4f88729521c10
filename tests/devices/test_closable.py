"""What must be closed warns where it was not: when it is dropped, and at the end of the program."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings

import pytest

from linnet_devices.closable import Closable


class Holder(Closable):
    def __init__(self, released: list[str], *, fails: bool = False) -> None:
        self.released = released
        if fails:
            raise ValueError("no such board")
        self._opened()

    def _release(self) -> None:
        self.released.append("released")


def test_it_is_released_once_at_the_end_of_its_block() -> None:
    released: list[str] = []
    with Holder(released) as holder:
        assert not released
    holder.close()
    assert released == ["released"]


def test_one_that_is_dropped_warns_and_is_released() -> None:
    released: list[str] = []
    holder = Holder(released)
    with pytest.warns(ResourceWarning, match="unclosed Holder"):  # noqa: PT031  # to drop it takes two
        del holder
        gc.collect()
    assert released == ["released"]


def test_one_that_was_closed_or_never_opened_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Holder([]).close()
        with pytest.raises(ValueError, match="no such board"):
            Holder([], fails=True)
        gc.collect()


_PROGRAM = """
import threading
from linnet_devices.closable import Closable

class WithThread(Closable):
    def __init__(self):
        threading.Thread(target=self.work, daemon=True).start()
        self._opened()

    def work(self):
        threading.Event().wait()

    def _release(self):
        pass

WithThread()  # its thread keeps it alive
with WithThread():
    pass
"""


def test_one_whose_thread_keeps_it_alive_warns_at_the_end_of_the_program() -> None:
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", _PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.count("ResourceWarning: unclosed WithThread") == 1
