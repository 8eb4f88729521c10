"""The reports in a bundle: what was measured when it was made, as JSON and as one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet_convert.calibration import load_calibration
from linnet_convert.proof.report import Proof, write_reports
from linnet_runtime.bundle import open_bundle
from linnet_runtime.preprocess import Preprocess
from linnet_runtime.proof.comparison import compare
from linnet_runtime.proof.report import Compared, ParityReport
from linnet_runtime.run_files import load_run_photos
from program import Program, one_line_error

ARTIFACTS = ["model.int8.tflite", "model.fp32.tflite", "model.int8.onnx", "model.fp32.onnx"]


@pytest.fixture
def reports(tiny_run: Path, tmp_path: Path, program: Program) -> tuple[Path, dict[str, Any]]:
    out = tmp_path / "colours.linnet"
    program("convert", tiny_run, "--out", out, "--formats", "tflite,onnx")
    return out, {path.stem: json.loads(path.read_bytes()) for path in (out / "report").glob("*.json")}


def test_a_bundle_has_its_proof(reports: tuple[Path, dict[str, Any]], tiny_run: Path) -> None:
    out, found = reports
    assert set(found) == {"parity", "integer", "layers", "calibration"}

    parity = found["parity"]
    assert (parity["name"], parity["passed"], parity["photos"]) == ("colours", True, 12)
    rows = {row["path"]: row for row in parity["artifacts"]}
    assert list(rows) == ARTIFACTS
    for artifact in open_bundle(out).artifacts:
        row = rows[str(Path(artifact.path).relative_to(out))]
        comparison = row["comparison"]
        assert artifact.parity is not None
        assert comparison["reference"] == ("keras int8" if artifact.is_int8 else "keras float")
        assert comparison["agreement"]["value"] == artifact.parity.agreement
        assert comparison["accuracy"]["value"] == artifact.parity.accuracy
        assert comparison["difference"]["p_value"] <= 1
        if artifact.output.scale is not None:
            assert comparison["steps"]["step"] == artifact.output.scale
        assert row["failed"] == []
    assert len(parity["pairs"]) == len(ARTIFACTS) * (len(ARTIFACTS) - 1) / 2

    integers = {row["path"]: row for row in found["integer"]["artifacts"]}
    assert list(integers) == ARTIFACTS
    for path, row in integers.items():
        assert row["verdict"].startswith("fully integer" if "int8" in path else "not integer: a float model")

    assert [row["layer"] for row in found["layers"]["layers"]][:2] == ["pixels_range", "stem_relu"]
    assert all(row["within"] for row in found["layers"]["layers"])

    calibration = found["calibration"]
    labels = open_bundle(out).labels
    own = load_calibration(tiny_run, labels, Preprocess(height=32, width=32))
    assert calibration["sha256"] == own.summary(labels)["sha256"]
    held_out = {photo.tobytes() for part in ("val",) for photo in load_run_photos(tiny_run)[part].pixels}
    assert not held_out & {photo.tobytes() for photo in own.pixels}, "the training part alone"
    assert len(set(calibration["classes"].values())) == 1, "as many of each class"
    assert {row["layer"] for row in calibration["coverage"]} >= {"stem_relu", "add_range", "logits_range"}


def test_the_page_says_it_all_in_one_file(reports: tuple[Path, dict[str, Any]]) -> None:
    page = (reports[0] / "report" / "index.html").read_text()
    for heading in (
        "Parity",
        "Accuracy",
        "Artifacts compared with each other",
        "Integers",
        "Layer by layer",
        "Calibration",
    ):
        assert f">{heading}</h" in page
    for path in ARTIFACTS:
        assert f"<td>{path}" in page
    assert "All 7 are within their tolerance" in page
    assert "src=" not in page.replace('src="data:', ""), "it needs no other file"
    assert "http" not in page


def test_a_drop_that_few_photos_cannot_rule_out_costs_the_bundle(
    tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    command = ("convert", tiny_run, "--out", tmp_path / "x.linnet", "--formats", "tflite", "--max-drop", 1.0)
    error = one_line_error(program(*command, status=1))
    assert "model.int8.tflite changes accuracy by " in error
    assert "accuracy's difference is above -1 points" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("private", [False, True])
def test_photos_that_flipped_are_pictures_only_where_the_bundle_may_have_them(private: bool, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
    reference = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    comparison = compare(
        "keras int8", reference, np.roll(reference, 1, axis=1), np.arange(30) % 3, ("<b>", "nut", "gear"), scale=0.1
    )
    row = Compared("model.int8.tflite", "int8", "cpu:litert", comparison, ("agrees on none",))
    proof = Proof(ParityReport("x", 30, "all agree", (row,), ()), (), (), {})
    write_reports(tmp_path, proof, None if private else pixels)
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == (0 if private else 24), "no more than can be looked at"
    assert page.count('class="set"') == 24
    assert "<b>" not in page.replace("<b>failed</b>", "").partition("<h2>Photos that changed")[2], "labels are escaped"
    assert json.loads((tmp_path / "report" / "parity.json").read_bytes())["passed"] is False
