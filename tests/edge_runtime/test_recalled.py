"""Accelerators that compute something else: how soon it is found, and that every wrong result is recalled.

The accelerator is simulated: the fault kit's delegate in a real child process.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from accelerators import Accelerators
from edge_runtime.simulated_camera import SimulatedCamera
from edge_runtime.small_bundle import edit_manifest
from linnet_devices.api import OpenOptions
from linnet_devices.testing.faults import build_delegate, compiler, device_name
from linnet_runtime import Classifier
from linnet_runtime.failover.checked import CheckedSession, Limits, Wanted, WrongAnswers
from linnet_runtime.failover.rung import Rung
from linnet_runtime.pipeline.pipeline import Pipeline
from linnet_runtime.proof.canary import load_canary
from linnet_runtime.results import Event, Result
from linnet_runtime.sources import Frame
from program import PATIENCE_S, linnet, one_line_error

pytestmark = pytest.mark.usefixtures("in_step")
needs_compiler = pytest.mark.skipif(compiler() is None, reason="the fault kit needs a C compiler")
PATIENT = Limits(
    deadline_s=PATIENCE_S,
    open_s=PATIENCE_S,
    start_s=PATIENCE_S,
    first_backoff_s=0.02,
    longest_backoff_s=0.02,
    restarts_a_minute=999,
    out_s=0.02,
)


class Unreliable:
    """The delegate, whose output is inverted while a file is there."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "garbage"
        self.name = device_name(build_delegate(folder), fault="garbage", while_=self._file)

    def fail(self) -> None:
        self._file.touch()

    def mend(self) -> None:
        self._file.unlink()


@pytest.fixture
def unreliable(tmp_path: Path) -> Unreliable:
    return Unreliable(tmp_path / "kit")


def pictures() -> Iterator[Frame]:
    """Without end, each another one."""
    random = np.random.default_rng(0)
    while True:
        yield Frame(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))


def wrong_results(results: list[Result], bundle: Path) -> list[Result]:
    """Those whose logits are not what the CPU alone gives, within the bundle's tolerance."""
    with Classifier.open(bundle, "cpu:litert") as alone:
        canary = load_canary(alone.bundle)
        assert canary is not None

        def is_wrong(result: Result) -> bool:
            assert result.picture is not None
            right = alone.classify(result.picture.pixels, color="bgr").logits
            return bool(np.abs(result.classification.logits - right).max() > canary.tolerance["model.int8.tflite"])

        return [result for result in results if is_wrong(result)]


def is_recalled(result: Result, events: list[Event]) -> bool:
    """As whoever receives both can tell."""
    return any(
        event.kind == "recalled"
        and event.device.startswith("delegate")
        and event.since == result.classification.canary_passed_at
        for event in events
    )


@needs_compiler
def test_garbage_is_found_by_the_canary_of_the_default_limits_and_all_of_it_is_recalled(
    unreliable: Unreliable, bundle_folder: Path
) -> None:
    limits = replace(Limits(), deadline_s=PATIENCE_S, open_s=PATIENCE_S, start_s=PATIENCE_S)
    seen: list[Result | Event] = []
    with (
        Classifier.open(bundle_folder, f"{unreliable.name},cpu", limits=limits) as classifier,
        Pipeline(
            lambda: SimulatedCamera(pictures(), live=False),
            classifier,
            on_result=seen.append,
            on_event=seen.append,
        ) as pipeline,
    ):
        for result in pipeline:
            if result.frame == 5:
                unreliable.fail()
            if result.classification.device == "cpu:litert":
                break
    results = [item for item in seen if isinstance(item, Result)]
    events = [item for item in seen if isinstance(item, Event) and not item.of_decision]
    wrong = wrong_results(results, bundle_folder)
    assert [event.kind for event in events] == ["recalled", "failover"]
    assert wrong
    assert all(is_recalled(result, events) for result in wrong)
    recalled = [result for result in results if is_recalled(result, events)]
    assert events[0].frames == len(recalled)
    assert events[0].to_json()["since"] == recalled[0].to_json()["canary_passed_at"]
    # The recall comes before the first result of the next device.
    assert seen.index(events[0]) < seen.index(results[-1])
    assert recalled[-1] is results[-2]


@needs_compiler
def test_an_accelerator_that_flaps_mislabels_nothing_that_is_not_recalled(
    unreliable: Unreliable, bundle_folder: Path
) -> None:
    cycles = 3
    results: list[Result] = []
    events: list[Event] = []
    limits = replace(PATIENT, canary_frames=5)
    with (
        Classifier.open(bundle_folder, f"{unreliable.name},cpu", limits=limits) as classifier,
        Pipeline(lambda: SimulatedCamera(pictures(), live=False), classifier, on_event=events.append) as pipeline,
    ):
        stream = iter(pipeline)
        for cycle in range(cycles):
            for result in stream:  # until it is back
                results.append(result)
                if result.classification.device != "cpu:litert":
                    break
            results += [next(stream) for _ in range(cycle)]
            unreliable.fail()
            for result in stream:  # until it is found
                results.append(result)
                if result.classification.device == "cpu:litert":
                    break
            unreliable.mend()
        summary = classifier.session.summary()  # type: ignore[attr-defined]
    wrong = wrong_results(results, bundle_folder)
    recalls = [event for event in events if event.kind == "recalled"]
    assert len(recalls) == cycles
    assert wrong
    assert all(is_recalled(result, events) for result in wrong)
    assert len(wrong) <= 5 * cycles  # the canary comes every five frames
    assert summary["frames_recalled"] == sum(event.frames or 0 for event in recalls)


def test_a_device_that_crashes_recalls_what_no_canary_has_confirmed(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerators = Accelerators(tmp_path, monkeypatch)
    events: list[Event] = []
    with (
        Classifier.open(bundle_folder, "first,cpu", limits=replace(PATIENT, canary_frames=100)) as classifier,
        Pipeline(lambda: SimulatedCamera(pictures(), live=False), classifier, on_event=events.append) as pipeline,
    ):
        for result in pipeline:
            if result.frame == 3:
                accelerators.fail("abort once")
            if result.frame == 4:
                assert result.classification.device == "cpu:litert"
                assert result.classification.canary_passed_at is None
                break
    assert [(event.kind, event.frames) for event in events if not event.of_decision] == [
        ("recalled", 3),
        ("failover", None),
    ]


def wrong_answers_of(rung: Rung) -> str:
    """Has it fail its canary in use; returns the reason."""
    rung.session = type("Session", (), {"passed_at": 1.0, "unconfirmed": 2, "watch_closely": lambda self: None})()
    return rung.down(WrongAnswers("canary on gone")).reason


def test_a_device_that_is_wrong_twice_within_a_minute_stays_out() -> None:
    rung = Rung("gone", lambda _: pytest.fail("is not opened"), Limits(out_s=1234.0), isolated=True)
    before = rung.retry_at
    assert "stays out" not in wrong_answers_of(rung)
    first_wait = rung.retry_at - before
    assert "It stays out for 1234 s" in wrong_answers_of(rung)
    assert rung.retry_at - before > first_wait + 1000


def test_a_device_that_has_failed_is_checked_often_at_first_and_then_less(bundle_folder: Path) -> None:
    """The share of time for canaries falls from a quarter to a hundredth."""
    with Classifier.open(bundle_folder, "cpu:litert") as classifier:
        bundle = classifier.bundle
        wanted = Wanted(bundle, "int8", OpenOptions(), load_canary(bundle), Limits(deadline_s=PATIENCE_S))
        checked = CheckedSession(classifier.session, wanted, isolated=True)
        usual = checked._share
        checked.watch_closely()
        shares = []
        pixels = np.zeros((1, bundle.preprocess.height, bundle.preprocess.width, 3), np.uint8)
        for _ in range(100):
            checked._due_at = 0.0
            checked.run(pixels)
            shares.append(checked._share)
    assert usual == 0.01
    assert shares[0] > 0.2
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0.01


# One device alone


def test_a_damaged_model_with_a_renewed_hash_is_an_error_on_the_cpu_too(
    bundle_folder: Path, photos_folder: Path, tmp_path: Path
) -> None:
    """It would label every photo alike, and be sure."""
    damaged = tmp_path / "damaged.linnet"
    shutil.copytree(bundle_folder, damaged)
    path = damaged / "model.int8.tflite"
    model = bytearray(path.read_bytes())
    middle = slice(len(model) // 3, 2 * len(model) // 3)  # weights
    model[middle] = bytes(byte ^ 0x55 for byte in model[middle])
    path.write_bytes(model)

    def renew(manifest: dict[str, object]) -> None:
        for artifact in manifest["artifacts"]:  # type: ignore[attr-defined]
            if artifact["path"] == "model.int8.tflite":
                artifact["sha256"] = sha256(model).hexdigest()

    edit_manifest(damaged, renew)
    photo = next(photos_folder.rglob("*.jpg"))
    error = one_line_error(linnet("classify", damaged, photo, "--device", "cpu:litert", status=1))
    assert error.startswith("canary on cpu:litert: got off by ") or "model.int8.tflite" in error


# Several threads


@pytest.mark.parametrize("device", ["cpu:litert", "cpu:onnx", "cpu:openvino", "first,cpu"])
def test_two_threads_get_the_labels_that_one_gets(
    device: str, bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerators = Accelerators(tmp_path, monkeypatch)
    frames = [frame.pixels for frame, _ in zip(pictures(), range(40), strict=False)]
    mistakes: list[int] = []
    with Classifier.open(bundle_folder, device, limits=PATIENT) as classifier:
        alone = [classifier.classify(frame, color="bgr").logits for frame in frames]

        def classify(order: int) -> None:
            for _ in range(5):
                for i in range(len(frames))[::order]:
                    if not np.array_equal(classifier.classify(frames[i], color="bgr").logits, alone[i]):
                        mistakes.append(i)

        threads = [threading.Thread(target=classify, args=(order,)) for order in (1, -1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert mistakes == []
    assert len(accelerators.opened()) == (device == "first,cpu"), "its child is the first one still"
