"""From classifications to decided labels and events."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from linnet_devices.errors import LinnetError
from linnet_runtime.classifier import Classification
from linnet_runtime.decisions.decider import Decider, Decision
from linnet_runtime.decisions.settings import DecisionSettings
from linnet_runtime.probabilities import probabilities, top_classes
from linnet_runtime.results import Event
from linnet_runtime.sources.api import Frame

LABELS = ("ajar", "closed", "open")
AJAR, CLOSED, OPEN = range(3)
PICTURE = np.zeros((2, 2, 3), np.uint8)
STEP_S = 0.1


def classification(logits: Sequence[float], *, temperature: float = 1.0, independent: bool = False) -> Classification:
    """As ``Classifier.classify`` gives it for these logits."""
    row = np.array(logits, np.float32)
    top = top_classes(probabilities(row, temperature, independent=independent), LABELS[: len(row)])
    return Classification(
        label=top[0][0],
        probability=top[0][1],
        top=top,
        independent=independent,
        logits=row,
        device="simulated",
        artifact="none",
        stages_ms={},
    )


def frame(time: float) -> Frame:
    return Frame(PICTURE, captured_at=1e9 + time, captured_monotonic=time)


def sure(label: int | None, probability: float = 0.98) -> Classification:
    """A result with that probability for a label, and the rest shared by the others; None is an even share for all."""
    p = np.full(len(LABELS), (1 - probability) / (len(LABELS) - 1))
    if label is None:
        p[:] = 1 / len(LABELS)
    else:
        p[label] = probability
    return classification(np.log(p).tolist())


def decider(**settings: Any) -> Decider:
    return Decider(LABELS, 1.0, DecisionSettings(**settings))


def run(deciding: Decider, results: Iterable[Classification], start: float = 0.0) -> list[Decision]:
    """The decisions about results that are ``STEP_S`` apart."""
    return [deciding.decide(result, frame(start + i * STEP_S)) for i, result in enumerate(results)]


def labels(decisions: Iterable[Decision]) -> list[str]:
    return [decision.label for decision in decisions]


def kinds(decisions: Iterable[Decision]) -> list[tuple[str, str | None]]:
    return [(event.kind, event.label) for decision in decisions for event in decision.events]


# --- Defaults -------------------------------------------------------------------------------------------------------


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


# --- What -----------------------------------------------------------------------------------------------------------


def test_below_the_threshold_the_label_is_unknown_and_the_most_probable_label_is_the_closest() -> None:
    (decision,) = run(decider(threshold=0.7), [sure(OPEN, 0.6)])
    assert (decision.label, decision.closest) == ("unknown", "open")
    assert decision.probability == pytest.approx(0.6)


def test_a_label_with_a_threshold_of_its_own_needs_that_one() -> None:
    deciding = decider(threshold=0.7, thresholds={"open": 0.5})
    assert labels(run(deciding, [sure(OPEN, 0.6), sure(CLOSED, 0.6)])) == ["open", "unknown"]


def test_a_denied_label_is_passed_over_and_its_probability_is_not_shared_out() -> None:
    (decision,) = run(decider(deny=("closed",)), [classification(np.log([0.3, 0.6, 0.1]).tolist())])
    assert decision.label == "ajar"
    assert decision.probability == pytest.approx(0.3)


def test_only_allowed_labels_are_decided_closest_or_listed() -> None:
    deciding = decider(allow=("open", "ajar"), threshold=0.5, top=5)
    (decision,) = run(deciding, [classification(np.log([0.3, 0.6, 0.1]).tolist())])
    assert (decision.label, decision.closest) == ("unknown", "ajar")
    assert [label for label, _ in decision.top] == ["ajar", "open"]


def test_a_temperature_in_the_settings_takes_the_place_of_the_bundles() -> None:
    deciding = Decider(LABELS, 4.0, DecisionSettings(temperature=1.0))
    (decision,) = run(deciding, [sure(OPEN, 0.9)])
    assert decision.probability == pytest.approx(0.9)


def test_with_several_all_labels_above_their_thresholds_are_decided() -> None:
    deciding = decider(several=True, threshold=0.5)
    results = [(3.0, -3.0, 2.0), (-3.0, -3.0, 2.0), (-3.0, -3.0, -3.0)]
    decisions = run(deciding, [classification(logits, independent=True) for logits in results])
    assert [[label for label, _ in decision.labels] for decision in decisions] == [["ajar", "open"], ["open"], []]
    assert labels(decisions) == ["ajar", "open", "unknown"]
    assert decisions[2].closest == "ajar"
    assert kinds(decisions) == [
        ("enter", "ajar"),
        ("enter", "open"),
        ("leave", None),
        ("leave", None),
        ("unknown", "unknown"),
    ]


def test_logits_that_are_not_finite_are_unknown_and_do_not_stay_in_the_average() -> None:
    deciding = decider(smoothing="exponential", window_s=0.2)
    decisions = run(deciding, [sure(OPEN), classification([math.nan, 0, 0]), *[sure(OPEN)] * 20])
    assert decisions[-1].label == "open"
    assert decisions[-1].probability == pytest.approx(0.98, abs=1e-3)
    (alone,) = run(decider(), [classification([math.nan, 0, 0])])
    assert (alone.label, alone.closest, alone.probability) == ("unknown", None, 0.0)


def test_a_class_that_is_called_unknown_is_the_same_as_unknown() -> None:
    deciding = Decider(("bolt", "unknown"), 1.0, DecisionSettings(threshold=0.6))
    decisions = run(deciding, [classification(logits) for logits in ((0.0, 3.0), (0.1, 0.0), (3.0, 0.0))])
    assert labels(decisions) == ["unknown", "unknown", "bolt"]
    assert [decision.closest for decision in decisions] == [None, "bolt", None]
    assert kinds(decisions) == [("unknown", "unknown"), ("enter", "bolt")]


def test_a_label_that_the_model_does_not_have_is_refused_with_the_nearest() -> None:
    for settings in ({"allow": ("opne",)}, {"deny": ("opne",)}, {"thresholds": {"opne": 0.5}}):
        with pytest.raises(LinnetError, match=r"got 'opne', expected a label of the model, such as open"):
            decider(**settings)
    with pytest.raises(LinnetError, match=r"decision.deny: got every label of the model"):
        decider(deny=LABELS)


# --- How sure -------------------------------------------------------------------------------------------------------


def test_exponential_smoothing_is_the_formula() -> None:
    deciding = decider(smoothing="exponential", window_s=0.5)
    decisions = run(deciding, [sure(CLOSED, 1 - 1e-9), *[sure(OPEN, 1 - 1e-9)] * 9])
    for i, decision in enumerate(decisions):
        is_open = 1 - math.exp(-i * STEP_S / 0.5)
        assert decision.label == ("open" if is_open > 0.5 else "closed")
        assert decision.probability == pytest.approx(max(is_open, 1 - is_open), abs=1e-6)
    # More than one half after i = 4: three steps after the first result that is open.
    assert [decision.delay_ms for decision in decisions] == pytest.approx([0] * 4 + [300] * 6)


def test_exponential_smoothing_does_not_depend_on_the_frame_rate() -> None:
    def after_a_second(step: float) -> float:
        deciding = decider(smoothing="exponential", window_s=0.5, gap_s=100)
        deciding.decide(sure(CLOSED), frame(-step))
        decisions = [deciding.decide(sure(OPEN), frame(i * step)) for i in range(round(1 / step))]
        return decisions[-1].probability

    assert after_a_second(0.01) == pytest.approx(after_a_second(0.1))


def test_votes_are_the_majority_of_the_window() -> None:
    deciding = decider(smoothing="vote", window_s=0.45)  # five results
    results = [CLOSED, CLOSED, OPEN, CLOSED, OPEN, OPEN, OPEN, AJAR]
    decisions = run(deciding, map(sure, results))
    assert labels(decisions) == ["closed"] * 5 + ["open"] * 3
    assert decisions[5].probability == pytest.approx(np.mean([0.01, 0.98, 0.01, 0.98, 0.98]))
    assert decisions[5].delay_ms == pytest.approx(100)  # the latest unbroken row began one result before


def test_with_equal_votes_the_decided_label_stays() -> None:
    decisions = run(decider(smoothing="vote", window_s=0.35), map(sure, [CLOSED, CLOSED, OPEN, OPEN]))
    assert labels(decisions) == ["closed"] * 4


def test_unknown_has_votes_too() -> None:
    decisions = run(decider(smoothing="vote", window_s=0.25, threshold=0.5), map(sure, [OPEN, None, None, None]))
    assert labels(decisions) == ["open", "open", "unknown", "unknown"]


def test_a_vote_leaves_nothing_behind_when_it_leaves_the_window() -> None:
    deciding = decider(smoothing="vote", window_s=0.25)
    rng = np.random.default_rng(5)
    run(deciding, [classification(rng.normal(0, 5, 3).tolist()) for _ in range(2000)])
    after = run(deciding, [sure(OPEN)] * 5, start=2000 * STEP_S)[-1].probability
    fresh = run(decider(smoothing="vote", window_s=0.25), [sure(OPEN)] * 5)[-1].probability
    assert after == fresh


def test_agreement_decides_at_the_last_of_n_results_in_a_row() -> None:
    results = [OPEN, OPEN, OPEN, CLOSED, CLOSED, OPEN, CLOSED, CLOSED, CLOSED, CLOSED]
    decisions = run(decider(agree=3), map(sure, results))
    assert labels(decisions) == ["unknown"] * 2 + ["open"] * 6 + ["closed"] * 2
    assert [decision.delay_ms for decision in decisions] == pytest.approx([0] * 2 + [200] * 8)
    assert kinds(decisions) == [("enter", "open"), ("change", "closed")]
    assert decisions[0].closest == "open"


def test_hysteresis_is_a_lead_over_other_labels() -> None:
    results = [sure(CLOSED, 0.8), sure(OPEN, 0.5), classification(np.log([0.1, 0.42, 0.48]).tolist()), sure(OPEN, 0.8)]
    assert labels(run(decider(hysteresis=0.3), results)) == ["closed", "closed", "closed", "open"]
    assert labels(run(decider(), results)) == ["closed", "open", "open", "open"]


def test_hysteresis_is_how_far_below_its_threshold_the_decided_label_may_fall() -> None:
    deciding = decider(threshold=0.8, hysteresis=0.2)
    assert labels(run(deciding, [sure(OPEN, p) for p in (0.7, 0.85, 0.7, 0.61, 0.59, 0.7)])) == [
        "unknown",
        "open",
        "open",
        "open",
        "unknown",
        "unknown",
    ]


def test_a_label_stays_for_its_dwell() -> None:
    decisions = run(decider(dwell_s=0.35), map(sure, [CLOSED, OPEN, OPEN, OPEN, OPEN, OPEN]))
    assert labels(decisions) == ["closed"] * 4 + ["open"] * 2
    assert decisions[4].delay_ms == pytest.approx(300)


# --- Gaps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", ["exponential", "vote"])
def test_results_before_a_gap_are_not_smoothed_with_those_after_it(smoothing: str) -> None:
    deciding = decider(smoothing=smoothing, window_s=3000.0)
    run(deciding, [sure(CLOSED)] * 50)
    (decision,) = run(deciding, [sure(OPEN)], start=10.0)
    assert decision.label == "open"
    assert decision.probability == pytest.approx(0.98)
    assert [(event.kind, event.previous, event.label) for event in decision.events] == [("change", "closed", "open")]


def test_after_a_reset_the_label_is_decided_anew_and_the_same_label_is_no_event() -> None:
    deciding = decider(agree=2)
    run(deciding, [sure(OPEN)] * 3)
    deciding.reset()
    decisions = run(deciding, [sure(OPEN)] * 3, start=0.5)
    assert labels(decisions) == ["unknown", "open", "open"]
    assert kinds(decisions) == []


def test_a_pause_of_less_than_a_second_is_no_gap_and_a_slow_camera_has_none() -> None:
    deciding = decider(agree=2)
    run(deciding, [sure(OPEN)] * 30)
    assert labels(run(deciding, [sure(CLOSED)], start=3.8)) == ["open"]
    slow = decider(agree=2)
    decisions = [slow.decide(sure(OPEN), frame(60.0 * i)) for i in range(5)]
    assert labels(decisions) == ["unknown"] + ["open"] * 4


def test_a_stated_gap_counts() -> None:
    deciding = decider(agree=2, gap_s=0.15)
    decisions = [deciding.decide(sure(OPEN), frame(time)) for time in (0.0, 0.1, 0.3, 0.4)]
    assert labels(decisions) == ["unknown", "open", "unknown", "open"]


def test_the_stated_interval_without_motion_is_no_gap() -> None:
    """A frame a minute, and many while something moves: the label that was decided stays decided."""
    deciding = Decider(LABELS, 1.0, DecisionSettings(agree=3), interval_s=60)
    run(deciding, [sure(OPEN)] * 50)
    decisions = [deciding.decide(sure(CLOSED), frame(5 + 60 * i)) for i in (1, 2, 3)]
    assert labels(decisions) == ["open", "open", "closed"]
    assert labels(run(deciding, [sure(OPEN)], start=500)) == ["unknown"]


def test_a_time_that_goes_back_is_a_gap() -> None:
    deciding = decider(smoothing="exponential", window_s=10.0)
    run(deciding, [sure(CLOSED)] * 5, start=100)
    (decision,) = run(deciding, [sure(OPEN)], start=50)
    assert decision.label == "open"


# --- Properties, for random settings and results -------------------------------------------------------------------


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
