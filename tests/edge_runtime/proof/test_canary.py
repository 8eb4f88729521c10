"""Canaries: whether a model still gives the logits that it should."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.proof.known_logits import CANARY, KNOWN, PIXELS
from linnet_runtime.proof.canary import Canary, compare_canary, make_tolerance


def test_the_known_logits_pass() -> None:
    result = compare_canary(CANARY, "model", KNOWN)
    assert (result.passed, result.difference, result.flipped) == (True, 0.0, 0)


def test_a_canary_passes_up_to_its_tolerance_and_no_further() -> None:
    for difference, passes in ((0.5, True), (0.75, False)):
        logits = KNOWN.copy()
        logits[0, 0] -= difference
        result = compare_canary(CANARY, "model", logits)
        assert (result.passed, result.difference) == (passes, difference)


def test_a_close_call_may_fall_the_other_way() -> None:
    logits = KNOWN.copy()
    logits[3] = [1.8, 1.9, 0]
    result = compare_canary(CANARY, "model", logits)
    assert (result.passed, result.flipped) == (True, 0)


def test_a_clear_label_may_not_change() -> None:
    logits = KNOWN.copy()
    logits[[0, 1]] = logits[[1, 0]]
    result = compare_canary(CANARY, "model", logits)
    assert (result.passed, result.flipped) == (False, 2)
    assert str(result) == "off by 5 logits, 0.5 allowed, 2 labels changed"


def test_a_clear_label_may_not_change_within_the_tolerance_either() -> None:
    known = np.array([[0.75, 0, -9]] * 8, np.float32)
    changed = np.array([[0.25, 0.5, -9]] * 8, np.float32)
    result = compare_canary(Canary(PIXELS, {"model": known}, {"model": 0.5}), "model", changed)
    assert (result.passed, result.difference, result.flipped) == (False, 0.5, 8)


def test_logits_that_are_no_numbers_fail() -> None:
    assert not compare_canary(CANARY, "model", np.full_like(KNOWN, np.nan)).passed


def test_the_tolerance_is_eight_output_steps_or_twice_the_engines_spread() -> None:
    near = {"a": KNOWN, "b": KNOWN + np.float32(0.125)}
    assert make_tolerance(near, output_step=0.0625) == 0.5
    assert make_tolerance(near, output_step=0.015625) == 0.25


@pytest.mark.parametrize(("tolerance", "proves"), [(0.5, True), (4.9, True), (5.0, False), (np.inf, False)])
def test_a_tolerance_as_large_as_the_range_of_the_logits_proves_nothing(tolerance: float, proves: bool) -> None:
    assert Canary(PIXELS, {"model": KNOWN}, {"model": tolerance}).proves("model") is proves
