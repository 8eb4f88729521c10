"""A ladder of devices: which are tried, which is taken at the start, and why."""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from accelerators import Accelerators
from edge_runtime.failover.streams import PATIENT, devices_in_turn, events_of, pictures, stream
from linnet_devices import registry
from linnet_devices.api import DeviceError, DeviceUnavailable
from linnet_runtime import Classifier
from linnet_runtime.bundle import BundleError


def test_a_ladder_without_an_available_device_is_an_error_with_each_reason(
    accelerators: Accelerators, bundle_folder: Path
) -> None:
    for device in ("first", "second"):
        accelerators.fail("absent", device)
    with pytest.raises(DeviceUnavailable) as error:
        Classifier.open(bundle_folder, "first,second")
    reason = "no such board on the bus. Fix: plug it in"
    assert str(error.value) == f"device='first,second': got first: {reason}; second: {reason}"


@pytest.mark.parametrize(
    ("device", "got"), [("first,cpuu", "'cpuu'"), ("first,auto", "auto in a list"), ("cpu,", "''")]
)
def test_a_slip_in_a_ladder_is_an_error_and_no_absent_device(
    device: str, got: str, accelerators: Accelerators, bundle_folder: Path
) -> None:
    with pytest.raises(DeviceError, match=f"device: got {got}"):
        Classifier.open(bundle_folder, device)
    assert not accelerators.opened()


def test_a_start_does_not_wait_for_an_accelerator_that_is_long_in_opening(
    accelerators: Accelerators, bundle_folder: Path, back: threading.Event
) -> None:
    """The next device begins; the accelerator takes over when it is open."""
    limits = replace(PATIENT, start_s=0.0)
    frames = list(itertools.islice(pictures(), 2))
    with Classifier.open(bundle_folder, "first,cpu", limits=limits) as classifier:
        results = list(stream(classifier, [frames[0], back, frames[1]]))
        late, ready = events_of(classifier)
    assert devices_in_turn(results) == ["cpu:litert", "first"]
    assert (late.device, late.what, late.reason) == ("first", "late", "first: not open after 0 s")
    assert (ready.device, ready.what) == ("first", "back")
    assert len(accelerators.opened()) == 1


def test_a_start_outlives_an_accelerator_that_hangs_in_opening(accelerators: Accelerators, bundle_folder: Path) -> None:
    accelerators.fail("hang")
    with Classifier.open(bundle_folder, "first,cpu", limits=replace(PATIENT, start_s=0.0)) as classifier:
        results = list(itertools.islice(stream(classifier), 2))
        (event,) = events_of(classifier)
    assert devices_in_turn(results) == ["cpu:litert"]
    assert event.what == "late"
    assert not any(Path(f"/proc/{child}").exists() for child in accelerators.opened())


def test_an_opening_that_fails_after_the_start_is_an_event_and_is_tried_again(
    accelerators: Accelerators, bundle_folder: Path
) -> None:
    accelerators.fail("hang once")
    with Classifier.open(bundle_folder, "first,cpu", limits=replace(PATIENT, start_s=0.0, open_s=10.0)) as classifier:
        results = stream(classifier)
        next(result for result in results if len(events_of(classifier)) > 1)
        next(result for result in results if result.classification.device == "first")
        assert [event.what for event in events_of(classifier)] == ["late", "hang", "back"]


def test_a_damaged_file_is_no_devices_failure(accelerators: Accelerators, bundle_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle_folder, tmp_path / "parts.linnet")
    (copy / "model.int8.tflite").write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"model\.int8\.tflite"):
        Classifier.open(copy, "first,cpu")
    assert not accelerators.opened()


@pytest.mark.parametrize(
    ("fault", "taken", "why"),
    [
        ("", "first", "first is ready: canary off by 0 logits"),
        ("absent", "cpu:litert", "auto: first is unavailable: no such board on the bus"),
        ("garbage", "cpu:litert", "first is left out (wrong answers): canary on first: got off by"),
    ],
)
def test_auto_takes_the_first_that_passes_its_canary_and_can_say_why(
    fault: str,
    taken: str,
    why: str,
    accelerators: Accelerators,
    bundle_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(registry.GROUPS, "auto", ("first", "cpu:litert"))
    accelerators.fail(fault)
    with caplog.at_level(logging.INFO, "linnet"), Classifier.open(bundle_folder, limits=PATIENT) as classifier:
        assert next(stream(classifier)).classification.device == taken
    assert any(message.startswith(why) for message in caplog.messages)


def test_autos_accelerator_has_the_cpu_behind_it(
    accelerators: Accelerators, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.GROUPS, "auto", ("first", "second", "cpu:litert"))
    with Classifier.open(bundle_folder, limits=PATIENT) as classifier:
        accelerators.fail("abort")
        assert next(stream(classifier)).classification.device == "cpu:litert"
    assert not accelerators.opened("second")
