"""Parity, canaries and references: whether a model is still the one that it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_devices.api import File, Logits
from linnet_runtime.bundle import BundleError, describe_file
from linnet_runtime.canary import Canary, compare_canary, load_canary, make_tolerance, save_canary
from linnet_runtime.parity import agrees, compare_logits
from linnet_runtime.reference import load_reference, save_reference

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)


def one_hot(classes: list[int]) -> Logits:
    return np.eye(3, dtype=np.float32)[classes]


def with_agreement(equal: int, n: int) -> tuple[Logits, Logits, NDArray[np.int64]]:
    """A reference, logits that agree with it on ``equal`` of ``n``, and labels that the reference has right."""
    reference = one_hot([0] * n)
    return reference, one_hot([0] * equal + [1] * (n - equal)), np.zeros(n, np.int64)


def test_parity_counts_equal_top1_and_each_models_accuracy() -> None:
    reference, logits = one_hot([0, 1, 2, 2]), one_hot([0, 1, 2, 0]) * np.float32(1.5)
    parity = compare_logits("keras", reference, logits, np.array([0, 1, 0, 0]))
    assert (parity.reference, parity.n, parity.agreement) == ("keras", 4, 0.75)
    assert (parity.accuracy, parity.reference_accuracy) == (0.75, 0.5)
    assert parity.max_abs_logit_diff == 1.5
    assert 0 < parity.agreement_low < 0.75 < parity.agreement_high < 1


@pytest.mark.parametrize(
    ("equal", "n", "precision", "passes"),
    [
        (1000, 1000, "int8", True),
        (965, 1000, "int8", True),  # its interval reaches 0.974
        (950, 1000, "int8", False),  # and this one's 0.962
        (965, 1000, "float32", False),  # float engines differ in the last bits only
        (965, 1000, "float16", False),
        (990, 1000, "float32", True),
        (27, 28, "int8", True),  # few photos prove little, and refute little
        (20, 28, "int8", False),
    ],
)
def test_parity_passes_where_the_agreements_interval_reaches_the_precisions_least(
    equal: int, n: int, precision: str, passes: bool
) -> None:
    assert agrees(compare_logits("keras", *with_agreement(equal, n)), precision) is passes


KNOWN = np.array([[5, 0, 0], [0, 5, 0], [0, 0, 5], [2, 1.75, 0]] * 2, np.float32)  # the fourth is a close call
CANARY = Canary(PIXELS, {"model": KNOWN}, {"model": 0.5})


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
    assert str(result) == "off by 5 logits where 0.5 is allowed, 2 labels changed"


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


def saved(path: Path) -> File:
    """The file's entry with its absolute path, as an open bundle has it."""
    file = describe_file(path, path.parent)
    return File(path=str(path), bytes=file.bytes, sha256=file.sha256)


def test_canaries_come_back_as_they_were_saved(tmp_path: Path) -> None:
    save_canary(tmp_path / "canary.npz", CANARY)
    found = load_canary(saved(tmp_path / "canary.npz"))
    assert np.array_equal(found.pixels, PIXELS)
    assert np.array_equal(found.logits["model"], KNOWN)
    assert found.tolerance == {"model": 0.5}


def test_a_reference_knows_its_photos_by_their_pixels_whatever_their_order(tmp_path: Path) -> None:
    save_reference(tmp_path / "reference.npz", PIXELS, {"int8": KNOWN})
    reference = load_reference(saved(tmp_path / "reference.npz"))
    assert reference.find(PIXELS[[6, 0, 3]]).tolist() == [6, 0, 3]
    assert np.array_equal(reference.logits["int8"], KNOWN)
    changed = PIXELS[:1].copy()
    changed[0, -1, -1, -1] ^= 1
    assert reference.find(np.concatenate([changed, PIXELS[1:2]])).tolist() == [-1, 1]


def test_a_reference_keeps_no_picture(tmp_path: Path) -> None:
    save_reference(tmp_path / "reference.npz", PIXELS, {"int8": KNOWN})
    with np.load(tmp_path / "reference.npz") as arrays:
        assert set(arrays.files) == {"digests", "int8"}
        assert arrays["digests"].shape == (8, 32)


@pytest.mark.parametrize("load", [load_canary, load_reference])
@pytest.mark.parametrize("content", [b"no archive", b"", b"PK\x03\x04 cut short"])
def test_a_damaged_file_of_the_right_hash_is_an_error_that_names_it(
    load: object, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    assert callable(load)
    with pytest.raises(BundleError, match=r"broken\.npz: got .* expected the .* that linnet convert writes"):
        load(saved(path))


@pytest.mark.parametrize("load", [load_canary, load_reference])
def test_nothing_in_an_archive_is_executed(load: object, tmp_path: Path) -> None:
    path = tmp_path / "pickled.npz"
    np.savez(path, pixels=np.array([print], dtype=object), digests=np.array([print], dtype=object))
    assert callable(load)
    with pytest.raises(BundleError, match="allow_pickle"):
        load(saved(path))
