"""Parity, canaries and references: whether a model is still the one that it should be."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from linnet_devices.api import Logits
from linnet_runtime.bundle import Bundle, BundleError, File, Provenance, describe_file
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.proof.canary import Canary, compare_canary, load_canary, make_tolerance, save_canary
from linnet_runtime.proof.comparison import compare
from linnet_runtime.proof.gates import gate_words, parity_of, shortcomings
from linnet_runtime.proof.reference import load_reference, photo_digests, save_reference
from linnet_runtime.proof.report import Compared, ParityReport, compare_pairs

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)


def one_hot(classes: list[int]) -> Logits:
    return np.eye(3, dtype=np.float32)[classes]


def with_agreement(equal: int, n: int) -> tuple[Logits, Logits, NDArray[np.int64]]:
    """A reference, logits that agree with it on ``equal`` of ``n``, and labels that the reference has right."""
    reference = one_hot([0] * n)
    return reference, one_hot([0] * equal + [1] * (n - equal)), np.zeros(n, np.int64)


NAMES = ("bolt", "nut", "washer")


def test_a_comparison_counts_equal_top1_and_each_models_accuracy() -> None:
    reference, logits = one_hot([0, 1, 2, 2]), one_hot([0, 1, 2, 0]) * np.float32(1.5)
    found = compare("keras", reference, logits, np.array([0, 1, 0, 0]), NAMES, scale=0.25)
    assert (found.reference, found.agreement.n, found.agreement.value) == ("keras", 4, 0.75)
    assert found.accuracy is not None
    assert found.reference_accuracy is not None
    assert found.difference is not None
    assert (found.accuracy.value, found.reference_accuracy.value) == (0.75, 0.5)
    assert (found.difference.only_first, found.difference.only_second, found.difference.p_value) == (1, 0, 1.0)
    assert 0 < found.agreement.low < 0.75 < found.agreement.high < 1
    assert (found.steps.step, found.steps.max) == (0.25, 6.0)
    assert found.classes == (), "none lost"
    parity = parity_of(found)
    assert (parity.reference, parity.n, parity.agreement, parity.max_abs_logit_diff) == ("keras", 4, 0.75, 1.5)
    assert (parity.accuracy, parity.reference_accuracy) == (0.75, 0.5)


def test_photos_that_flip_come_with_their_margin_the_clearest_first() -> None:
    reference = np.array([[4, 0, 0], [1, 0, 0], [0, 2, 0]], np.float32)
    logits = np.array([[0, 4, 0], [0, 0, 4], [0, 2, 0]], np.float32)
    found = compare("keras", reference, logits, np.array([0, 2, 1]), NAMES, scale=0.5, photos=np.array([7, 8, 9]))
    assert [(flip.photo, flip.label, flip.before, flip.after, flip.margin) for flip in found.flips] == [
        (7, "bolt", "bolt", "nut", 8.0),
        (8, "washer", "bolt", "washer", 2.0),
    ]
    assert [(row.label, row.recall, row.reference_recall) for row in found.classes] == [("bolt", 0.0, 1.0)]


def test_without_labels_there_is_an_agreement_and_no_accuracy() -> None:
    found = compare("keras", one_hot([0, 1]), one_hot([0, 2]), None, NAMES, scale=None)
    assert (found.agreement.value, found.accuracy, found.difference, found.classes) == (0.5, None, None, ())
    assert found.flips[0].label is None
    assert found.steps.step == pytest.approx(1 / 255), "of a float output, a 255th of its range"


def test_photos_are_counted_by_the_largest_difference_of_their_logits() -> None:
    reference = np.zeros((4, 3), np.float32)
    logits = np.array([[0, 0, 0], [0, -1.5, 0], [3, 3, 3], [0, 0, 40]], np.float32)
    steps = compare("keras", reference, logits, None, NAMES, scale=1.0).steps
    counted = dict(zip((0, *steps.bins), steps.histogram, strict=True))
    assert {low: count for low, count in counted.items() if count} == {0: 1, 1: 1, 2: 1, 32: 1}
    assert steps.mean == pytest.approx((-1.5 + 9 + 40) / 12)


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
    reference, logits, labels = with_agreement(equal, n)
    missed = shortcomings(compare("keras", reference, logits, labels, NAMES, scale=1.0), precision)
    assert any(words.startswith("agrees on") for words in missed) is not passes


@pytest.mark.parametrize(
    ("precision", "steps", "passes"),
    [("int8", 32, True), ("int8", 33, False), ("float16", 9, False), ("float32", 1, True), ("float32", 1.5, False)],
)
def test_logits_that_are_off_fail_where_every_label_is_right(precision: str, steps: float, passes: bool) -> None:
    reference = one_hot([0, 1, 2] * 30) * np.float32(128)
    found = compare("keras", reference, reference + np.float32(steps), None, NAMES, scale=1.0)
    assert found.agreement.value == 1
    assert bool(shortcomings(found, precision)) is not passes


def test_one_photo_in_twenty_may_be_far_off() -> None:
    reference = one_hot([0, 1] * 50) * np.float32(128)
    logits = reference.copy()
    logits[:4] += 60
    assert not shortcomings(compare("keras", reference, logits, None, NAMES, scale=1.0), "int8")
    logits[4:7] += 60
    assert shortcomings(compare("keras", reference, logits, None, NAMES, scale=1.0), "int8")


@pytest.mark.parametrize(
    ("wrong", "n", "max_drop", "passes"),
    [
        (0, 1000, 1.0, True),
        (0, 100, 1.0, False),  # too few to show it
        (0, 100, 5.0, True),
        (20, 1000, 1.0, False),
        (20, 1000, 4.0, True),
        (20, 1000, None, True),  # no gate unless it is asked for
    ],
)
def test_a_drop_passes_where_the_lower_end_of_its_interval_is_above_it(
    wrong: int, n: int, max_drop: float | None, passes: bool
) -> None:
    labels = np.zeros(n, np.int64)
    reference, logits = one_hot([0] * n), one_hot([1] * wrong + [0] * (n - wrong))
    found = compare("keras", reference, logits, labels, NAMES, scale=1.0)
    missed = [words for words in shortcomings(found, "int8", max_drop) if words.startswith("changes accuracy")]
    assert bool(missed) is not passes


def test_a_drop_needs_labels() -> None:
    found = compare("keras", one_hot([0]), one_hot([0]), None, NAMES, scale=1.0)
    assert shortcomings(found, "int8", 1.0) == ("has no accuracy to compare: the photos have no labels",)


def test_the_gate_is_stated_in_words() -> None:
    assert "reaches 0.97 in int8, 0.99 in float16" in gate_words()
    assert "at most 32 in int8, 8 in float16, 1 in float32 steps" in gate_words()
    assert "above -1.5 points" in gate_words(1.5)
    assert "points" not in gate_words()


def test_every_two_models_are_compared() -> None:
    logits = {"a": (one_hot([0, 1]), 0.5), "b": (one_hot([0, 2]), None), "c": (one_hot([0, 1]), None)}
    pairs = compare_pairs(logits)
    assert [(pair.first, pair.second, pair.agreement.value) for pair in pairs] == [
        ("a", "b", 0.5),
        ("a", "c", 1.0),
        ("b", "c", 0.5),
    ]
    assert pairs[0].steps.max == 2.0, "in steps of the quantised one"


def test_a_report_fails_with_one_of_its_rows() -> None:
    good, bad = Compared("a", "int8", "cpu:litert", None), Compared("b", "int8", "cpu:onnx", None, ("agrees on none",))
    assert ParityReport("x", 2, "", (good,), ()).passed
    assert not ParityReport("x", 2, "", (good, bad), ()).passed


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


def bundle_with(path: Path) -> Bundle:
    """An open bundle of the three classes and 4x4 pixels, whose canary and reference are both the file ``path``."""
    found = describe_file(path, path.parent)
    file = File(path=str(path), bytes=found.bytes, sha256=found.sha256)
    return Bundle(
        schema=1,
        name="test",
        labels=NAMES,
        preprocess=Preprocess(height=4, width=4),
        artifacts=(),
        provenance=Provenance(source="a test", created="2025-01-01T00:00:00Z", versions={}),
        canary=file,
        reference=file,
    )


def test_canaries_come_back_as_they_were_saved(tmp_path: Path) -> None:
    save_canary(tmp_path / "canary.npz", CANARY)
    found = load_canary(bundle_with(tmp_path / "canary.npz"))
    assert found is not None
    assert np.array_equal(found.pixels, PIXELS)
    assert np.array_equal(found.logits["model"], KNOWN)
    assert found.tolerance == {"model": 0.5}


def test_a_reference_knows_its_photos_by_their_pixels_whatever_their_order(tmp_path: Path) -> None:
    save_reference(tmp_path / "reference.npz", PIXELS, {"int8": KNOWN})
    reference = load_reference(bundle_with(tmp_path / "reference.npz"))
    assert reference is not None
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


def archive(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zip_of(content: bytes, name: str = "pixels.npy") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return buffer.getvalue()


def header(text: str) -> bytes:
    """A .npy file with this header and no data."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def lying() -> bytes:
    """An archive whose directory states that 100 MB are 10 bytes."""
    data = bytearray(zip_of(b"\0" * 100_000_000))
    place = data.rindex(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 10)
    return bytes(data)


DIGESTS = photo_digests(PIXELS)
OBJECTS = np.array([print], dtype=object)
ENTRY = b"PK\x01\x02\x14\x03\x14"  # the start of an entry in the directory of an archive: version 2.0
DAMAGED: dict[str, tuple[bytes, str]] = {
    "text": (b"no archive", "File is not a zip file"),
    "nothing": (b"", "File is not a zip file"),
    "a start": (b"PK\x03\x04 cut short", "File is not a zip file"),
    "a .npy in its place": (npy(PIXELS), "File is not a zip file"),
    "no arrays": (zip_of(b"text"), "magic string"),
    "a future version of zip": (
        zip_of(npy(PIXELS)).replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"),
        "zip",
    ),
    "a future version of npy": (zip_of(b"\x93NUMPY\x09\x00" + b" " * 100), "format version"),
    "a header of 60 kB": (zip_of(header(" " * 60_000)), "600"),
    "a header of nested lists": (zip_of(header("[" * 5_000)), ""),
    "a header with an open string": (zip_of(header("{'descr': ' ")), ""),
    "a shape of terabytes": (
        zip_of(header("{'descr': '<f8', 'fortran_order': False, 'shape': (8, 1000000000000), }\n")),
        "bytes for",
    ),
    "objects": (
        archive(pixels=np.array([print], dtype=object), digests=np.array([print], dtype=object)),
        "not of numbers",
    ),
    "text arrays": (archive(pixels=np.array(["a"]), digests=np.array(["a"])), "not of numbers"),
    "a decompression bomb": (zip_of(b"\0" * 100_000_000), "more than"),
    "a bomb that states 10 bytes": (lying(), ""),
}


@pytest.mark.parametrize("load", [load_canary, load_reference])
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_archive_of_the_right_hash_is_one_line_that_names_it(
    case: str, load: Callable[[Bundle], object], tmp_path: Path
) -> None:
    content, says = DAMAGED[case]
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"broken\.npz: got .* expected the .* that linnet convert writes") as refused:
        load(bundle_with(path))
    assert says in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


GOOD_CANARY = {"pixels": PIXELS, "logits/model": KNOWN, "tolerance/model": np.array(0.5)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pixels": PIXELS.astype(np.int8)}, "pixels int8 [8, 4, 4, 3], not uint8 [N, 4, 4, 3]"),
        ({"pixels": PIXELS[:, :3]}, "pixels uint8 [8, 3, 4, 3], not uint8 [N, 4, 4, 3]"),
        ({"pixels": PIXELS[0]}, "pixels uint8 [4, 4, 3]"),
        ({"pixels": PIXELS[:0], "logits/model": KNOWN[:0]}, "0 pictures"),
        ({"pixels": PIXELS[:5]}, "5 pictures with logits of [8]"),
        ({"logits/model": KNOWN[:, :2]}, "logits/model float32 [8, 2], not float32 [N, 3]"),
        ({"logits/model": KNOWN.astype(np.float64)}, "logits/model float64"),
        ({"logits/model": KNOWN * np.float32(np.nan)}, "not finite"),
        ({"tolerance/model": np.array([0.5, 0.5])}, "no tolerance/model that is a number"),
        ({"tolerance/model": np.array(np.nan)}, "no tolerance/model that is a number"),
        ({"tolerance/model": np.array(-1.0)}, "no tolerance/model that is a number"),
        ({"tolerance/model": np.array(True)}, "no tolerance/model that is a number"),
    ],
)
def test_canaries_of_other_types_and_shapes_are_one_line(
    change: dict[str, np.ndarray], says: str, tmp_path: Path
) -> None:
    (tmp_path / "canary.npz").write_bytes(archive(**{**GOOD_CANARY, **change}))
    with pytest.raises(BundleError) as refused:
        load_canary(bundle_with(tmp_path / "canary.npz"))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"digests": DIGESTS[:, :31]}, "digests uint8 [8, 31], not uint8 [N, 32]"),
        ({"digests": DIGESTS[:7]}, "7 photos with logits of [8]"),
        ({"int8": KNOWN[:, :2]}, "int8 float32 [8, 2], not float32 [N, 3]"),
        ({"int8": np.full_like(KNOWN, np.inf)}, "int8 with values that are not finite"),
    ],
)
def test_references_of_other_types_and_shapes_are_one_line(
    change: dict[str, np.ndarray], says: str, tmp_path: Path
) -> None:
    (tmp_path / "reference.npz").write_bytes(archive(**{"digests": DIGESTS, "int8": KNOWN, **change}))
    with pytest.raises(BundleError) as refused:
        load_reference(bundle_with(tmp_path / "reference.npz"))
    assert says in str(refused.value)


@pytest.mark.parametrize(("tolerance", "proves"), [(0.5, True), (4.9, True), (5.0, False), (np.inf, False)])
def test_a_tolerance_as_large_as_the_range_of_the_logits_proves_nothing(tolerance: float, proves: bool) -> None:
    assert Canary(PIXELS, {"model": KNOWN}, {"model": tolerance}).proves("model") is proves
