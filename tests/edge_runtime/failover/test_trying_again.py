"""A device that failed is tried again: how often, after what wait, and how closing ends it."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from accelerators import Accelerators
from edge_runtime.failover.streams import PATIENT, stream
from edge_runtime.small_bundle import SIDE
from linnet_devices.api import DeviceError, DeviceUnavailable, OpenOptions
from linnet_runtime import Classifier
from linnet_runtime.bundle import open_bundle
from linnet_runtime.failover.checked import CheckedSession, Limits, Wanted, open_checked
from linnet_runtime.failover.rung import Rung
from linnet_runtime.failover.supervisor import SupervisedSession
from program import PATIENCE_S


def failing(tries: list[float], enough: threading.Event, limits: Limits) -> Rung:
    """A device that is never here. It sets the event when it has been tried as often as a minute allows."""

    def open_device(stop: threading.Event) -> CheckedSession:
        tries.append(time.monotonic())
        if len(tries) > limits.restarts_a_minute:
            enough.set()
        raise DeviceUnavailable("not here")

    return Rung("gone", open_device, limits, isolated=True)


def test_a_device_is_tried_again_only_so_often_in_a_minute(small_bundle: Path) -> None:
    limits = Limits(first_backoff_s=0.0, longest_backoff_s=0.0, restarts_a_minute=3)
    wanted = Wanted(open_bundle(small_bundle), "int8", OpenOptions(), None, limits)
    tries, enough = [], threading.Event()
    here = Rung("fake", partial(open_checked, "fake", wanted), limits, isolated=False)
    with SupervisedSession("gone,fake", [failing(tries, enough, limits), here], limits) as session:
        assert enough.wait(PATIENCE_S)
        for _ in range(1000):  # no more come
            session.run(np.zeros((1, SIDE, SIDE, 3), np.uint8))
    assert len(tries) == 1 + limits.restarts_a_minute


def test_the_wait_doubles_up_to_the_longest() -> None:
    limits = Limits(first_backoff_s=100.0, longest_backoff_s=300.0)
    rung = failing([], threading.Event(), limits)

    def wait_s() -> float:
        rung.down(DeviceError("gone"))
        return rung.retry_at - time.monotonic()

    assert [wait_s() for _ in range(4)] == pytest.approx([100, 200, 300, 300], abs=50)


def test_closing_ends_an_opening_that_hangs(accelerators: Accelerators, bundle_folder: Path) -> None:
    """No process and no thread stays behind."""
    with Classifier.open(bundle_folder, "first,cpu", limits=PATIENT) as classifier:
        results = stream(classifier)
        next(results)
        accelerators.fail("abort")
        next(results)
        accelerators.fail("hang")
        next(result for result in results if len(accelerators.opened()) > 1)
        results.close()
    assert not any(Path(f"/proc/{child}").exists() for child in accelerators.opened())
    assert "linnet-supervisor" not in {thread.name for thread in threading.enumerate()}
