"""``linnet verify`` on bundles that give it nothing to compare with: "not proven", and exit status 1."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge_runtime.small_bundle import LABELS, MODEL, SIDE, edit_manifest
from linnet_devices.api import Logits, Pixels
from linnet_runtime.bundle_files import describe_file
from linnet_runtime.preprocess import Preprocess, preprocess
from linnet_runtime.proof.canary import CANARY, Canary, save_canary
from linnet_runtime.proof.reference import REFERENCE, save_reference
from program import linnet, one_line_error

# Pictures of three vertical strips, one of them bright: each another class of the simulated device.
STRIPS = np.full((3, SIDE, SIDE, 3), 20, np.uint8)
for i, picture in enumerate(STRIPS):
    picture[:, 4 * i : 4 * i + 4] = 220
MODELS = (MODEL.rpartition("/")[2], "int8.xml")


def computed(pixels: Pixels) -> Logits:
    """What the simulated device makes of pixels [N, 12, 12, 3]: float32 [N, 3]."""
    return np.stack([strip.mean(axis=(1, 2, 3)) for strip in np.split(pixels, 3, axis=2)], axis=1).astype(np.float32)


def add_canary(bundle: Path, *, names: tuple[str, ...] = MODELS, tolerance: float = 1.0) -> None:
    logits, tolerances = dict.fromkeys(names, computed(STRIPS)), dict.fromkeys(names, tolerance)
    save_canary(bundle / CANARY, Canary(STRIPS, logits, tolerances))
    entry = msgspec.to_builtins(describe_file(bundle / CANARY, bundle))
    edit_manifest(bundle, lambda manifest: manifest.update(canary=entry))


def add_reference(bundle: Path, pixels: Pixels) -> None:
    save_reference(bundle / REFERENCE, pixels, {"int8": computed(pixels)})
    entry = msgspec.to_builtins(describe_file(bundle / REFERENCE, bundle))
    edit_manifest(bundle, lambda manifest: manifest.update(reference=entry))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one photo of each class."""
    for label, picture in zip(LABELS, STRIPS, strict=True):
        (tmp_path / "data" / label).mkdir(parents=True)
        assert cv2.imwrite(str(tmp_path / "data" / label / "photo.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return tmp_path / "data"


def assert_not_proven(bundle: Path, reason: str, *arguments: object) -> None:
    done = linnet("verify", bundle, "--device", "fake", "--json", *arguments, status=1)
    assert one_line_error(done).startswith(f"{bundle}: got not proven: {MODEL} on fake (")
    assert reason in done.stderr
    report = json.loads(done.stdout)
    assert report["passed"] is False
    assert all(reason in row["not_proven"] and row["passed"] is False for row in report["artifacts"])
    table = linnet("verify", bundle, "--device", "fake", *arguments, status=1).stdout
    assert table.count("not proven") == 2
    assert "equal" not in table.lower()


def test_a_canary_that_is_met_is_proof(small_bundle: Path) -> None:
    add_canary(small_bundle)
    report = json.loads(linnet("verify", small_bundle, "--device", "fake", "--json").stdout)
    assert report["passed"] is True
    assert [row["not_proven"] for row in report["artifacts"]] == [None, None]


def test_a_bundle_without_canary_and_reference_proves_nothing(small_bundle: Path) -> None:
    assert_not_proven(small_bundle, "the bundle has no canary for it, and no photos are given")


def test_a_canary_of_other_artifacts_proves_nothing(small_bundle: Path) -> None:
    add_canary(small_bundle, names=("another.tflite",))
    assert_not_proven(small_bundle, "the bundle has no canary for it")


@pytest.mark.parametrize("tolerance", [np.inf, 1e30, 200.0])
def test_a_tolerance_that_a_constant_model_meets_proves_nothing(tolerance: float, small_bundle: Path) -> None:
    add_canary(small_bundle, tolerance=tolerance)
    assert_not_proven(small_bundle, "more than the range of its logits")


def test_a_reference_that_knows_none_of_the_photos_proves_nothing(small_bundle: Path, data: Path) -> None:
    add_reference(small_bundle, STRIPS[:, ::-1] // 2)
    assert_not_proven(small_bundle, "the bundle's reference knows none of the photos", "--data", data)


def test_a_reference_that_knows_the_photos_is_proof(small_bundle: Path, data: Path) -> None:
    spec = Preprocess(height=SIDE, width=SIDE)
    add_reference(small_bundle, np.stack([preprocess(picture, spec, color="rgb") for picture in STRIPS]))
    report = json.loads(linnet("verify", small_bundle, "--device", "fake", "--data", data, "--json").stdout)
    assert report["passed"] is True
    assert [(row["agreement"], row["accuracy"]) for row in report["artifacts"]] == [(1.0, 1.0)] * 2


def test_a_limit_for_the_accuracys_drop_without_an_accuracy_is_not_met(small_bundle: Path, data: Path) -> None:
    """The canary is met, and yet what was asked for could not be checked."""
    add_canary(small_bundle)
    reason = "there is no accuracy to compare: the bundle has no reference for photos"
    assert_not_proven(small_bundle, reason, "--data", data, "--max-drop", 1.0)


def test_the_page_is_about_the_bundle_that_the_user_named_and_says_not_proven(small_bundle: Path, data: Path) -> None:
    page = small_bundle.parent / "page.html"
    arguments = ("verify", "small.linnet", "--device", "fake", "--data", data, "--page", page)
    linnet(*arguments, status=1, cwd=small_bundle.parent)
    text = page.read_text()
    assert "<h1>Proof: small.linnet</h1>" in text
    assert "<b>not proven</b>" in text
    assert text.count(">not compared</span>") == 2
    assert ">equal</span>" not in text
