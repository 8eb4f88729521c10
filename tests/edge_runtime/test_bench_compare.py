"""``linnet bench --compare``: the ratio of two bundles that run alternately."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon

from edge_runtime.small_bundle import write_small_bundle
from linnet_runtime.bench.compare import ratio_of, shift_interval
from program import linnet, one_line_error


@pytest.mark.parametrize("n", [6, 7, 12, 25])
def test_the_interval_holds_what_wilcoxon_s_test_does_not_exclude(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1, n)
    middle, low, high = shift_interval(values)
    assert low < middle < high
    for edge, outward in ((low, -1), (high, 1)):
        assert wilcoxon(values - (edge - outward * 1e-6), method="exact").pvalue > 0.05
        assert wilcoxon(values - (edge + outward * 1e-6), method="exact").pvalue <= 0.05


def test_the_middle_is_the_median_of_the_means_of_all_pairs() -> None:
    assert shift_interval(np.array([1.0, 2.0, 6.0]))[0] == 2.75  # of 1, 1.5, 2, 3.5, 4, 6


def test_one_disturbed_round_hardly_moves_the_ratio() -> None:
    quiet = [1.0, 1.001, 0.999, 1.002, 0.998, 1.0, 1.001, 0.999]
    assert ratio_of([*quiet, 3.0]).p50 == pytest.approx(1.0, abs=0.002)


def test_fewer_than_six_rounds_have_no_interval() -> None:
    assert (ratio_of([1.1] * 5).low, ratio_of([1.1] * 5).high) == (None, None)
    assert ratio_of([1.1] * 6).low == pytest.approx(1.1)


def test_a_larger_bundle_takes_longer_by_its_ratio(tmp_path: Path) -> None:
    """The simulated device computes a mean for each label: thirty times as many take several times as long."""
    few = write_small_bundle(tmp_path / "few.linnet")
    many = write_small_bundle(tmp_path / "many.linnet", labels=tuple(f"class {i}" for i in range(90)))
    done = linnet("bench", "--compare", many, few, "--device", "fake", "--quick", "--json")
    report = json.loads(done.stdout)
    assert set(report["ratio"]) == {"p50", "low", "high"}
    assert 1.5 < report["ratio"]["low"] <= report["ratio"]["p50"] <= report["ratio"]["high"]
    assert (report["bundles"], report["interrupted"]) == ([str(many), str(few)], False)
    assert (len(report["rounds"]), report["threads"]) == (6, 1)
    assert done.stderr == ""


def test_a_bundle_that_cannot_be_run_is_one_line(small_bundle: Path) -> None:
    done = linnet("bench", "--compare", small_bundle, small_bundle, "--device", "cpu:onnx", "--quick", status=1)
    assert "cpu:onnx reads onnx and the bundle has none in int8" in one_line_error(done)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "expected BUNDLE or --compare BUNDLE BUNDLE"),
        (("BUNDLE", "--compare", "BUNDLE", "BUNDLE"), "got a bundle and --compare"),
        (("--compare", "BUNDLE", "BUNDLE", "--device", "fake,cpu"), "expected one device with --compare"),
        (
            ("--compare", "BUNDLE", "BUNDLE", "--scope", "frame"),
            "--compare: got another option, expected --compare alone",
        ),
    ],
)
def test_a_comparison_is_asked_for_with_two_bundles_alone(
    arguments: tuple[str, ...], expected: str, small_bundle: Path
) -> None:
    typed = [str(small_bundle) if argument == "BUNDLE" else argument for argument in arguments]
    assert expected in one_line_error(linnet("bench", *typed, status=2))
