"""From classifications to decided labels and events: what the defaults give, and what any settings give."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest

from edge_runtime.decisions.deciding import LABELS, OPEN, classification, decider, frame, sure
from linnet_runtime.decisions.decider import Decider, Decision
from linnet_runtime.decisions.settings import DecisionSettings
from linnet_runtime.results import Event


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_the_default_settings_give_the_classification_as_it_is(temperature: float, independent: bool) -> None:
    rng = np.random.default_rng(3)
    deciding = Decider(LABELS, temperature, DecisionSettings())
    for i in range(300):
        result = classification(rng.normal(0, 4, 3).tolist(), temperature=temperature, independent=independent)
        decision = deciding.decide(result, frame(i * float(rng.uniform(0.01, 5))))
        assert (decision.label, decision.probability) == (result.label, result.probability)
        assert (decision.closest, decision.delay_ms, decision.labels, decision.top) == (None, 0.0, (), ())


def test_an_event_has_the_frame_and_the_places_and_times_of_the_frame() -> None:
    deciding = Decider(LABELS, 1.0, DecisionSettings(), camera="yard", region="gate")
    taken = frame(5.0)
    (event,) = deciding.decide(sure(OPEN), taken).events
    assert event == Event(kind="enter", at=1e9 + 5, camera="yard", region="gate", label="open", frame=taken)
    assert event.to_json() == {"event": "enter", "at": 1e9 + 5, "camera": "yard", "region": "gate", "label": "open"}


def _random_settings(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "smoothing": str(rng.choice(["none", "exponential", "vote"])),
        "window_s": float(rng.uniform(0.05, 2)),
        "agree": int(rng.integers(1, 5)),
        "hysteresis": float(rng.choice([0, 0.1, 0.4])),
        "dwell_s": float(rng.choice([0, 0.3, 1.5])),
        "threshold": float(rng.choice([0.3, 0.5, 0.8])),
        "top": 2,
    }


class Step(NamedTuple):
    """A decision of a random run; the row is another one after each gap and each reset."""

    row: int
    time: float
    decision: Decision


def _random_run(rng: np.random.Generator, *, several: bool) -> tuple[dict[str, Any], list[Step]]:
    """Settings and steps: results that stay for a while, with noise, pauses, gaps and resets."""
    settings = _random_settings(rng)
    deciding = decider(**settings, several=several)
    row, time, mean, steps = 0, 0.0, rng.normal(0, 3, 3), []
    for _ in range(150):
        if rng.random() < 0.1:
            mean = rng.normal(0, 3, 3)
        pause = float(rng.choice([0.03, 0.1, 0.5, 30.0], p=[0.5, 0.4, 0.09, 0.01]))
        row, time = row + (pause == 30), time + pause
        result = classification((mean + rng.normal(0, 1.5, 3)).tolist(), independent=several)
        steps.append(Step(row, time, deciding.decide(result, frame(time))))
        if rng.random() < 0.01:
            deciding.reset()
            row += 1
    return settings, steps


@pytest.mark.parametrize("seed", range(60))
def test_events_tell_every_change_of_the_label_and_nothing_else(seed: int) -> None:
    """Enter and leave alternate; the label that the events amount to is the decided one wherever one is decided."""
    _, steps = _random_run(np.random.default_rng(seed), several=False)
    present: str | None = None  # what a listener to enter, change and leave knows
    before: str | None = None
    for _, _, decision in steps:
        for event in decision.events:
            assert event.previous == before or event.kind == "unknown"
            assert event.label != present
            if event.kind == "enter":
                assert present is None
                present = event.label
            elif event.kind == "change":
                assert present is not None
                assert event.previous == present
                present = event.label
            elif event.kind == "leave":
                assert present is not None
                present = None
            else:
                assert (event.kind, present, event.label) == ("unknown", None, "unknown")
        if decision.events:
            before = decision.events[-1].label
            assert decision.label == before
        if decision.label != "unknown":
            assert present == decision.label


@pytest.mark.parametrize("seed", range(60))
def test_enter_and_leave_alternate_for_each_of_several_labels(seed: int) -> None:
    _, steps = _random_run(np.random.default_rng(seed), several=True)
    present: set[str | None] = set()
    for _, _, decision in steps:
        for event in decision.events:
            if event.kind == "enter":
                assert event.label not in present
                present.add(event.label)
            elif event.kind == "leave":
                present.remove(event.previous)
            else:
                assert (event.kind, present) == ("unknown", set())
        assert {label for label, _ in decision.labels} <= present


@pytest.mark.parametrize("seed", range(60))
def test_dwell_and_delay_are_respected(seed: int) -> None:
    settings, steps = _random_run(np.random.default_rng(seed), several=False)
    for _, steps_of_row in itertools.groupby(steps, key=lambda step: step.row):
        decided_at: float | None = None
        for _, time, decision in steps_of_row:
            if decision.events:
                assert decided_at is None or time - decided_at >= settings["dwell_s"]
                decided_at = time
            assert decision.delay_ms >= 0


@pytest.mark.parametrize("seed", range(30))
def test_within_a_row_the_delay_changes_only_with_the_label(seed: int) -> None:
    _, steps = _random_run(np.random.default_rng(seed), several=False)
    for before, after in itertools.pairwise(steps):
        if before.row == after.row and before.decision.label == after.decision.label != "unknown":
            assert before.decision.delay_ms == after.decision.delay_ms


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_probabilities_are_within_0_and_1_and_lists_are_in_order(seed: int, several: bool) -> None:
    _, steps = _random_run(np.random.default_rng(seed), several=several)
    for _, _, decision in steps:
        assert (decision.closest is None) == (decision.label != "unknown")
        for listed in (decision.top, decision.labels):
            p = [probability for _, probability in listed]
            assert p == sorted(p, reverse=True)
        assert all(0 <= p <= 1 for _, p in (*decision.top, (decision.label, decision.probability)))
        assert len(decision.top) == 2
