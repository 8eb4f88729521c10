"""A pause after which the results before it count no more."""

from __future__ import annotations

import pytest

from edge_runtime.decisions.deciding import CLOSED, LABELS, OPEN, decider, frame, kinds, labels, run, sure
from linnet_runtime.decisions.decider import Decider
from linnet_runtime.decisions.settings import DecisionSettings


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
