"""``linnet verify``: a swapped model does not pass, whatever its hash says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge_runtime.proof.swapped_models import (
    ARTIFACTS,
    Change,
    all_logits_doubled,
    other_weights,
    prefers_the_fourth_class,
    swap,
)
from edge_runtime.small_bundle import edit_manifest
from program import linnet, one_line_error


@pytest.mark.parametrize(
    ("file", "change", "artifact"),
    [
        ("model.int8.tflite", other_weights, "model.int8.tflite on cpu:litert"),
        ("model.fp32.onnx", prefers_the_fourth_class, "model.fp32.onnx on cpu:onnx"),
        ("openvino/int8.bin", other_weights, "openvino/int8.xml on cpu:openvino"),
    ],
)
def test_a_swapped_model_of_the_right_hash_fails_its_canaries_and_is_named(
    file: str, change: Change, artifact: str, bundle_copy: Path
) -> None:
    swap(bundle_copy, file, change)
    done = linnet("verify", bundle_copy, "--json", status=1)
    assert one_line_error(done).startswith(f"{bundle_copy}: got not equal: {artifact} (canary off by ")
    report = json.loads(done.stdout)
    assert report["passed"] is False
    failed = [row["path"] for row in report["artifacts"] if not row["passed"]]
    assert failed == [artifact.split()[0]]


def test_a_swapped_model_fails_its_parity_where_there_are_no_canaries(bundle_copy: Path, run_folder: Path) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest.update(canary=None))
    swap(bundle_copy, "model.fp32.onnx", prefers_the_fourth_class)
    done = linnet("verify", bundle_copy, "--data", run_folder, "--device", "cpu:onnx", "--json", status=1)
    assert "model.fp32.onnx on cpu:onnx" in one_line_error(done)
    rows = {row["path"]: row for row in json.loads(done.stdout)["artifacts"]}
    assert rows["model.int8.onnx"]["passed"] is True
    assert rows["model.fp32.onnx"]["passed"] is False
    assert rows["model.fp32.onnx"]["agreement"] < 0.5
    assert rows["model.fp32.onnx"]["canary"] is None


def test_a_model_with_another_output_is_refused(bundle_copy: Path) -> None:
    swap(bundle_copy, "model.int8.tflite", lambda _: (bundle_copy / "model.fp32.tflite").read_bytes())
    linnet("verify", bundle_copy, status=1)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda path: path.read_bytes().replace(b"<layers>", b"<layer>", 1), "Start-end tags mismatch"),
        (lambda path: path.read_bytes()[:100], "Error parsing"),
        (lambda path: b"no XML", "No document element found"),
    ],
)
def test_an_ir_that_cannot_be_read_is_one_line_with_the_reason(change: Change, got: str, bundle_copy: Path) -> None:
    swap(bundle_copy, "openvino/int8.xml", change)
    error = one_line_error(linnet("verify", bundle_copy, "--device", "cpu:openvino", status=1))
    assert error.startswith(f"{bundle_copy}/openvino/int8.xml in openvino: got {got}")
    assert "Exception from" not in error


def test_weights_that_openvino_would_not_read_are_refused(bundle_copy: Path) -> None:
    """It reads those beside the .xml, and the hash that is checked would be another file's."""
    shutil.copy(bundle_copy / "openvino" / "int8.bin", bundle_copy / "checked.bin")
    edit_manifest(bundle_copy, lambda manifest: manifest["artifacts"][-2]["weights"].update(path="checked.bin"))
    error = one_line_error(linnet("verify", bundle_copy, "--device", "cpu:openvino", status=1))
    assert error == (
        f"weights of {bundle_copy}/openvino/int8.xml: got {bundle_copy}/checked.bin, "
        f"expected {bundle_copy}/openvino/int8.bin"
    )


def test_a_swapped_model_with_its_old_hash_is_found_before_it_is_run(bundle_copy: Path) -> None:
    path = bundle_copy / "model.fp32.onnx"
    path.write_bytes(prefers_the_fourth_class(path))
    error = one_line_error(linnet("verify", bundle_copy, status=1))
    assert error.startswith(str(path))
    assert "sha256" in error


def test_logits_that_are_wrong_where_every_label_is_right_fail(bundle_copy: Path, run_folder: Path) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest.update(canary=None))
    swap(bundle_copy, "model.fp32.onnx", all_logits_doubled)
    done = linnet("verify", bundle_copy, "--data", run_folder, "--device", "cpu:onnx", "--json", status=1)
    rows = {row["path"]: row for row in json.loads(done.stdout)["artifacts"]}
    assert rows["model.fp32.onnx"]["agreement"] == 1
    (failed,) = rows["model.fp32.onnx"]["failed"]
    assert "output steps at the 95th percentile of" in failed
    assert failed in one_line_error(done)


def test_a_page_shows_each_artifact_its_figures_and_the_photos_that_flipped(
    bundle_copy: Path, run_folder: Path, tmp_path: Path
) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest.update(canary=None))
    swap(bundle_copy, "model.fp32.onnx", prefers_the_fourth_class)
    page = tmp_path / "page.html"
    linnet("verify", bundle_copy, "--data", run_folder, "--page", page, status=1)
    html = page.read_text()
    for path in ARTIFACTS:
        assert f"<td>{path}" in html
    assert html.count("not equal</span>") == 1
    assert "model.fp32.onnx: agrees on 0." in html
    assert "data:image/jpeg;base64," in html
    assert html.count("Artifacts compared with each other") == 1
    assert "http" not in html, "it needs no other file"
