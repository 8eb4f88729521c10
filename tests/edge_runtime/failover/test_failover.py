"""Accelerators that fail, and the stream that goes on: real child processes, the accelerators in them are simulated.

With ``pytest -rP`` the first test tells, for each of the six faults, how long its frame had to wait for an answer.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from accelerators import Accelerators
from edge_runtime.failover.streams import (
    CHECK_EVERY,
    PATIENT,
    devices_in_turn,
    events_of,
    pictures,
    stream,
    wrong_frames,
)
from linnet_devices.api import DeviceUnavailable
from linnet_runtime import Classifier
from linnet_runtime.failover import supervisor
from linnet_runtime.failover.rung import DeviceEvent
from program import PATIENCE_S
from simulated_accelerator import SLOW_S

# The simulated accelerator's fault, what the supervisor makes of it, and how many frames a second device has to answer.
FAULTS = {
    "absent": ("absent", 0, PATIENT),
    "abort": ("crash", 1, PATIENT),
    # Once: a device that still hung when it is opened again would use up the time that opening may take.
    "hang once": ("hang", 1, replace(PATIENT, deadline_s=4.0)),
    "raise": ("error", 1, PATIENT),
    "garbage": ("wrong answers", 1, PATIENT),
    "slow": ("slow", 0, replace(PATIENT, deadline_s=2 * SLOW_S - 0.4, slow_in_a_row=2)),
}
FAILS, MENDED, FRAMES = 4, 4 + 2 * CHECK_EVERY, 4 + 3 * CHECK_EVERY  # after so many frames, and so many in all


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_goes_on_and_the_accelerator_comes_back(
    fault: str, accelerators: Accelerators, bundle_folder: Path, back: threading.Event
) -> None:
    """Amid a stream an accelerator fails, and later it is mended. Every frame is answered, in order, and rightly."""
    what, repeated, limits = FAULTS[fault]
    if fault == "absent":
        accelerators.fail(fault)
    frames = list(itertools.islice(pictures(), FRAMES))
    results = []
    with Classifier.open(bundle_folder, "first,cpu", limits=limits) as classifier:
        for result in stream(classifier, [*frames[:MENDED], back, *frames[MENDED:]]):
            results.append(result)
            if len(results) == FAILS:
                accelerators.fail(fault)
            if len(results) == MENDED:
                accelerators.mend()
        first, *_, last = events_of(classifier)
        summary = classifier.session.summary()
    assert [result.frame for result in results] == list(range(1, FRAMES + 1))
    assert devices_in_turn(results) == ["first", "cpu:litert", "first"][fault == "absent" :]
    assert (first.device, first.what) == ("first", what)
    assert first.to == (None if fault == "absent" else "cpu:litert")
    assert (last.device, last.what) == ("first", "back")
    assert summary["frames_repeated"] == repeated
    assert sum(summary["frames_by_device"].values()) == FRAMES
    assert summary["device_failures"] == ({} if fault == "absent" else {"first": 1})
    assert summary["device_restarts"] == {"first": 1}
    wrong = wrong_frames(results, bundle_folder)
    # Wrong answers are found by the next canary, and no later.
    assert wrong == (list(range(FAILS + 1, CHECK_EVERY + 1)) if fault == "garbage" else [])
    print(f"{fault}: {first.reason}; the stream went on after {first.seconds} s")


def test_an_accelerator_that_crashes_again_and_again_loses_no_frame_and_leaves_nothing_behind(
    accelerators: Accelerators, bundle_folder: Path
) -> None:
    """As one with a loose cable does for minutes: here it is tried again at once."""
    cycles, files = 8, []
    limits = replace(PATIENT, first_backoff_s=0.01, longest_backoff_s=0.01, restarts_a_minute=99)
    with Classifier.open(bundle_folder, "first,cpu", limits=limits) as classifier:
        answering: list[str] = []
        results = stream(classifier)
        for _ in range(cycles):
            for result in results:
                answering.append(result.classification.device)
                if answering[-1] == "first":
                    break
            files.append(len(list(Path("/proc/self/fd").iterdir())))
            accelerators.fail("abort")
            answering.append(next(results).classification.device)
            accelerators.mend()
        numbers = [result.frame for result in itertools.islice(results, 5)]
        summary = classifier.session.summary()
    assert numbers == list(range(len(answering) + 1, len(answering) + 6))  # each frame before them was answered
    assert answering.count("first") == cycles
    assert summary["device_failures"] == {"first": cycles}
    assert summary["frames_repeated"] == cycles
    assert max(files) - files[0] <= 2  # a child that is being closed or opened has some
    assert not any(Path(f"/proc/{child}").exists() for child in accelerators.opened())


def test_wrong_answers_never_label_a_frame(accelerators: Accelerators, bundle_folder: Path) -> None:
    """An accelerator that computes something else from the start is left out, however often it is tried."""
    accelerators.fail("garbage")
    with Classifier.open(bundle_folder, "first,cpu", limits=PATIENT) as classifier:
        results = []
        for result in stream(classifier):
            results.append(result)
            if len(accelerators.opened()) == 3:
                break
        (event,) = events_of(classifier)
    assert devices_in_turn(results) == ["cpu:litert"]
    assert event.what == "wrong answers"
    assert " allowed, " in event.reason


def test_the_canaries_are_asked_on_the_live_accelerator_when_their_time_has_come(
    accelerators: Accelerators, bundle_folder: Path
) -> None:
    """Before the frame, which the next device then labels: with no time between two of them no frame is wrong."""
    limits = replace(PATIENT, canary_frames=1, first_backoff_s=60.0)
    with Classifier.open(bundle_folder, "first,cpu", limits=limits) as classifier:
        results = stream(classifier)
        before = next(results)
        accelerators.fail("garbage")
        after = next(results)
        (event,) = events_of(classifier)
    assert devices_in_turn([before, after]) == ["first", "cpu:litert"]
    assert (event.what, wrong_frames([before, after], bundle_folder)) == ("wrong answers", [])


def test_each_result_says_which_device_made_it_and_from_what(accelerators: Accelerators, bundle_folder: Path) -> None:
    """Down a ladder of three, rung by rung."""
    ladder = iter(["first", "second"])
    made_by = []
    with Classifier.open(bundle_folder, "first,second,cpu:onnx", limits=PATIENT) as classifier:
        for result in itertools.islice(stream(classifier), 3):
            made_by.append((result.classification.device, result.classification.artifact))
            accelerators.fail("abort", next(ladder, "none"))
        assert [(event.device, event.to) for event in events_of(classifier)] == [
            ("first", "second"),
            ("second", "cpu:onnx"),
        ]
    assert made_by == [("first", "model.int8.tflite"), ("second", "model.int8.tflite"), ("cpu:onnx", "model.int8.onnx")]


def test_an_accelerator_alone_answers_again_when_it_is_open_again(
    accelerators: Accelerators, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame waits for it."""
    monkeypatch.setattr(supervisor, "_PATIENCE_S", PATIENCE_S)
    with Classifier.open(bundle_folder, "first", limits=PATIENT) as classifier:
        results = stream(classifier)
        next(results)
        accelerators.fail("abort once")
        assert next(results).classification.device == "first"
        assert {event.what for event in events_of(classifier)} == {"crash", "back"}
    assert len(accelerators.opened()) == 2


def test_when_all_have_failed_for_long_the_reasons_are_the_error(
    accelerators: Accelerators, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_PATIENCE_S", 0.0)
    with Classifier.open(
        bundle_folder, "first,second", limits=replace(PATIENT, first_backoff_s=PATIENCE_S)
    ) as classifier:
        results = stream(classifier)
        next(results)
        accelerators.fail("abort")
        accelerators.fail("raise", "second")
        with pytest.raises(DeviceUnavailable) as error:
            next(results)
        assert [event.what for event in events_of(classifier)] == ["crash", "error"]
    assert str(error.value).startswith("device='first,second': got device first: got its process was ended by SIGABRT")
    assert str(error.value).endswith("; device second: got RuntimeError: the firmware says no")


def test_an_event_is_heard_once_by_those_who_listen_or_by_the_first_who_does(
    accelerators: Accelerators, small_bundle: Path
) -> None:
    """The cameras of a server are opened again and again on one classifier."""
    accelerators.fail("absent")
    with Classifier.open(small_bundle, "first,fake", limits=PATIENT) as classifier:
        heard: list[DeviceEvent] = []
        classifier.listen(heard.append)()
        again: list[DeviceEvent] = []
        classifier.listen(again.append)()
        (event,) = events_of(classifier)
        assert (heard, again) == ([event], [])
