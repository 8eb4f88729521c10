"""``linnet verify``: a bundle that is what it was passes; photos, devices and pages that do not fit are one line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_runtime.proof.swapped_models import ARTIFACTS
from edge_runtime.small_bundle import edit_manifest
from program import linnet, one_line_error


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
        assert [line.split()[:4] for line in table.splitlines() if line.startswith(path)] == [
            [path, device, "hardware", "equal"]
        ]


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
