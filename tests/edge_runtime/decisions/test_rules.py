"""Which labels count: thresholds, lists of labels, several labels at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_runtime.decisions.deciding import (
    CLOSED,
    LABELS,
    OPEN,
    STEP_S,
    classification,
    decider,
    kinds,
    labels,
    run,
    sure,
)
from linnet_devices.errors import LinnetError
from linnet_runtime.decisions.decider import Decider
from linnet_runtime.decisions.settings import DecisionSettings


def test_below_the_threshold_the_label_is_unknown_and_the_most_probable_label_is_the_closest() -> None:
    (decision,) = run(decider(threshold=0.7), [sure(OPEN, 0.6)])
    assert (decision.label, decision.closest) == ("unknown", "open")
    assert decision.probability == pytest.approx(0.6)


def test_a_label_with_a_threshold_of_its_own_needs_that_one() -> None:
    deciding = decider(threshold=0.7, thresholds={"open": 0.5})
    assert labels(run(deciding, [sure(OPEN, 0.6), sure(CLOSED, 0.6)])) == ["open", "unknown"]


def test_a_changed_threshold_holds_from_the_next_result_on_and_not_for_labels_with_their_own() -> None:
    deciding = decider(threshold=0.5, thresholds={"closed": 0.55})
    assert labels(run(deciding, [sure(OPEN, 0.6), sure(CLOSED, 0.6)])) == ["open", "closed"]
    deciding.change_threshold(0.7)
    assert labels(run(deciding, [sure(OPEN, 0.6), sure(CLOSED, 0.6)], start=1.0)) == ["unknown", "closed"]


def test_votes_under_the_old_threshold_do_not_count_under_a_changed_one() -> None:
    results = [sure(OPEN, 0.6), sure(OPEN, 0.8), sure(CLOSED, 0.6)] * 5
    changed, fresh = (decider(smoothing="vote", window_s=0.45, threshold=threshold) for threshold in (0.5, 0.7))
    run(changed, results)
    changed.change_threshold(0.7)
    start = len(results) * STEP_S
    after = run(changed, results, start)
    assert [(one.label, one.probability) for one in after] == [
        (one.label, one.probability) for one in run(fresh, results, start)
    ]


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
