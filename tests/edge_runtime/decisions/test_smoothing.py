"""How sure a decision must be: smoothing, votes, agreement, hysteresis, dwell."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_runtime.decisions.deciding import (
    AJAR,
    CLOSED,
    OPEN,
    STEP_S,
    classification,
    decider,
    frame,
    kinds,
    labels,
    run,
    sure,
)


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
