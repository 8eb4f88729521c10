"""``linnet verify``: a bundle that is what it was passes, and a swapped model does not, whatever its hash says."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge_runtime.small_bundle import edit_manifest
from program import linnet, one_line_error

ARTIFACTS = {
    "model.int8.tflite": "cpu:litert",
    "model.fp32.tflite": "cpu:litert",
    "model.int8.onnx": "cpu:onnx",
    "model.fp32.onnx": "cpu:onnx",
    "openvino/int8.xml": "cpu:openvino",
    "openvino/fp16.xml": "cpu:openvino",
}


@pytest.fixture
def bundle_copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle of a real network that the test may change."""
    return shutil.copytree(bundle_folder, tmp_path / "parts.linnet")


def test_the_bundle_that_was_converted_passes_with_the_runs_photos(bundle_folder: Path, run_folder: Path) -> None:
    done = linnet("verify", bundle_folder, "--data", run_folder, "--json")
    report = json.loads(done.stdout)
    assert report["passed"] is True
    rows = {row["path"]: row for row in report["artifacts"]}
    assert {path: row["device"] for path, row in rows.items()} == ARTIFACTS
    for row in rows.values():
        assert row["passed"] is True
        assert row["canary"]["passed"] is True
        assert 0 <= row["agreement_low"] <= row["agreement"] <= row["agreement_high"] <= 1
        assert row["n"] == row["agreement_n"] > 0
        assert 0 <= row["accuracy"] <= 1
        assert row["max_abs_logit_diff"] >= 0
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        assert row["logit_steps"]["p50"] <= row["logit_steps"]["p95"] <= row["logit_steps"]["max"]
        assert sum(row["logit_steps"]["histogram"]) == row["n"]
        assert row["difference"]["low"] <= row["difference"]["difference"] <= row["difference"]["high"]
        assert 0 < row["difference"]["p_value"] <= 1
        assert len(row["flips"]) == round((1 - row["agreement"]) * row["n"])
        assert row["failed"] == []
    assert done.stderr == ""


def test_without_photos_the_canaries_alone_are_asked(bundle_folder: Path) -> None:
    report = json.loads(linnet("verify", bundle_folder, "--json").stdout)
    assert report["passed"] is True
    for row in report["artifacts"]:
        assert row["canary"]["passed"] is True
        assert row["agreement"] is row["accuracy"] is None
        assert row["n"] == 0


def test_other_photos_give_an_accuracy_and_no_agreement(bundle_folder: Path, tmp_path: Path) -> None:
    for label in ("bolt", "nut"):
        (tmp_path / label).mkdir()
        assert cv2.imwrite(str(tmp_path / label / "new.png"), np.full((60, 60, 3), 90, np.uint8))
    done = linnet("verify", bundle_folder, "--data", tmp_path, "--device", "cpu:litert", "--json")
    for row in json.loads(done.stdout)["artifacts"]:
        assert (row["n"], row["agreement_n"], row["agreement"]) == (2, 0, None)
        assert row["accuracy"] in (0.0, 0.5)  # equal photos of two classes


def test_the_table_names_every_artifact(bundle_folder: Path) -> None:
    table = linnet("verify", bundle_folder).stdout
    for path, device in ARTIFACTS.items():
        assert [line.split()[:3] for line in table.splitlines() if line.startswith(path)] == [[path, device, "equal"]]


Change = Callable[[Path], bytes]


def other_weights(path: Path) -> bytes:
    """An int8 model with the weights of its widest layer turned over; they are the same bytes in every format."""
    bundle = next(parent for parent in path.parents if parent.suffix == ".linnet")
    tensors = map(numpy_helper.to_array, onnx.load(bundle / "model.int8.onnx").graph.initializer)
    weights = max(tensors, key=lambda tensor: tensor.size)
    model = path.read_bytes()
    assert weights.dtype == np.int8
    assert model.count(weights.tobytes()) == 1
    return model.replace(weights.tobytes(), (~weights).tobytes())


def prefers_the_fourth_class(path: Path) -> bytes:
    """The float ONNX with a bias of its last layer changed: another model with the same signature."""
    network = onnx.load(path)
    bias = next(tensor for tensor in network.graph.initializer if list(tensor.dims) == [7])
    values = numpy_helper.to_array(bias).copy()
    values[3] += 20
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    return network.SerializeToString()


def swap(bundle: Path, name: str, change: Change) -> None:
    """Puts another model in a model's place, with its size and hash in the manifest."""
    path = bundle / name
    data = change(path)
    path.write_bytes(data)

    def edit(manifest: dict[str, Any]) -> None:
        entries = [*manifest["artifacts"], *(artifact["weights"] for artifact in manifest["artifacts"])]
        (entry,) = (entry for entry in entries if entry and entry["path"] == name)
        entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    edit_manifest(bundle, edit)


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


def test_photos_of_a_class_that_the_model_does_not_know_are_refused(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rivet").mkdir()
    shutil.copy(next(Path(__file__).parent.glob("*.py")), tmp_path / "rivet" / "photo.jpg")
    error = one_line_error(linnet("verify", bundle_folder, "--data", tmp_path, status=1))
    assert "got classes rivet, expected only bolt, " in error


def test_a_ladder_is_nothing_to_verify(bundle_folder: Path) -> None:
    error = one_line_error(linnet("verify", bundle_folder, "--device", "coral,cpu", status=1))
    assert error.startswith("--device: got coral,cpu, expected one device: ")


def test_a_device_that_reads_nothing_of_the_bundle_proves_nothing(bundle_copy: Path) -> None:
    def keep_tflite(manifest: dict[str, Any]) -> None:
        manifest["artifacts"] = [entry for entry in manifest["artifacts"] if entry["format"] == "tflite"]

    edit_manifest(bundle_copy, keep_tflite)
    error = one_line_error(linnet("verify", bundle_copy, "--device", "cpu:onnx", status=1))
    assert "nothing that the device reads" in error


def all_logits_doubled(path: Path) -> bytes:
    """The float ONNX with its last layer twice as large: each label is the one that it was."""
    network = onnx.load(path)
    head = {
        name
        for node in network.graph.node
        if any(tensor.name in node.input and 7 in tensor.dims for tensor in network.graph.initializer)
        for name in node.input
    }
    for tensor in network.graph.initializer:
        if tensor.name in head and 7 in tensor.dims:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, tensor.name))
    return network.SerializeToString()


def test_logits_that_are_wrong_where_every_label_is_right_fail(bundle_copy: Path, run_folder: Path) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest.update(canary=None))
    swap(bundle_copy, "model.fp32.onnx", all_logits_doubled)
    done = linnet("verify", bundle_copy, "--data", run_folder, "--device", "cpu:onnx", "--json", status=1)
    rows = {row["path"]: row for row in json.loads(done.stdout)["artifacts"]}
    assert rows["model.fp32.onnx"]["agreement"] == 1
    (failed,) = rows["model.fp32.onnx"]["failed"]
    assert "output steps at the 95th percentile of" in failed
    assert failed in one_line_error(done)


def test_a_drop_in_accuracy_that_the_photos_cannot_rule_out_fails(bundle_folder: Path, run_folder: Path) -> None:
    """28 photos on which all is equal leave room for several points."""
    command = ("verify", bundle_folder, "--data", run_folder, "--device", "cpu:litert", "--json")
    done = linnet(*command, "--max-drop", 1.0, status=1)
    low = min(row["difference"]["low"] for row in json.loads(done.stdout)["artifacts"])
    assert low < -0.01
    assert re.search(r"changes accuracy by [+-]\d\.\d\d points \(interval -", one_line_error(done))
    assert json.loads(linnet(*command, "--max-drop", 1 - 100 * low).stdout)["passed"] is True


@pytest.mark.parametrize("flag", ["--max-drop", "--page"])
def test_what_needs_photos_says_so(flag: str, bundle_folder: Path, tmp_path: Path) -> None:
    value = tmp_path / "page.html" if flag == "--page" else 1.0
    error = one_line_error(linnet("verify", bundle_folder, flag, value, status=1))
    assert error == f"{flag}: got no photos, expected photos to compare on. Fix: --data DATA with {flag}"


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


def in_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs ``linnet`` in a process that does something before, and something after."""
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def test_a_page_without_jinja_says_what_to_install_before_anything_is_run(
    bundle_folder: Path, run_folder: Path
) -> None:
    code = "import sys; sys.modules['jinja2'] = None\nfrom linnet_runtime.cli import main\nsys.exit(main(sys.argv[1:]))"
    done = in_python(code, "verify", bundle_folder, "--data", run_folder, "--page", "page.html")
    error = one_line_error(done)
    assert error == "--page: got no module jinja2, expected the extra [report]. Fix: pip install 'linnet[report]'"
    assert done.stdout == ""


def test_without_a_page_verifying_needs_neither_tensorflow_nor_what_draws(
    bundle_folder: Path, run_folder: Path
) -> None:
    heavy = "('tensorflow', 'keras', 'matplotlib', 'jinja2')"
    code = (
        "import sys\nfrom linnet_runtime.cli import main\n"
        f"assert main(sys.argv[1:]) == 0\nassert not [name for name in {heavy} if name in sys.modules], sys.modules"
    )
    done = in_python(code, "verify", bundle_folder, "--data", run_folder, "--device", "cpu:litert")
    assert done.returncode == 0, done.stderr
