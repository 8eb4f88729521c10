"""Models that a client would misread, and clients that do not exist: one line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert.clients.names import MODEL
from edge_runtime.small_bundle import edit_manifest
from program import Program, one_line_error


def artifact_without_tflite(manifest: dict[str, Any]) -> None:
    manifest["artifacts"][0]["precision"] = "float32"


def artifact_that_ends_in_a_softmax(manifest: dict[str, Any]) -> None:
    manifest["artifacts"][0]["output"]["values"] = "probabilities"


def artifact_of_independent_labels(manifest: dict[str, Any]) -> None:
    manifest["artifacts"][0]["output"]["values"] = "independent_probabilities"


def artifact_for_bgr(manifest: dict[str, Any]) -> None:
    manifest["artifacts"][0]["input"]["color"] = "bgr"


def artifact_that_normalizes(manifest: dict[str, Any]) -> None:
    manifest["artifacts"][0]["input"] |= {"mean": [124.0, 117.0, 104.0], "std": [58.0, 57.0, 57.0]}


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (artifact_without_tflite, "got tflite float32, expected a bundle with an int8 .tflite"),
        (artifact_that_ends_in_a_softmax, "got probabilities output, expected logits"),
        (artifact_of_independent_labels, "got independent_probabilities output, expected logits"),
        (artifact_for_bgr, "got uint8 NHWC bgr input, expected uint8 NHWC rgb"),
        (artifact_that_normalizes, "expected pixels 0..255 as they are"),
    ],
)
def test_a_model_that_a_client_would_misread_is_one_line_and_writes_nothing(
    edit: Callable[[dict[str, Any]], None], says: str, bundle: Path, program: Program
) -> None:
    edit_manifest(bundle, edit)
    assert says in one_line_error(program("export", bundle, "--for", "mediapipe", status=1))
    assert not list(bundle.glob("for/*"))


def test_an_unknown_client_is_one_line_before_anything_is_written(bundle: Path, program: Program) -> None:
    error = one_line_error(program("export", bundle, "--for", "mediapipe,coral", status=1))
    assert error == "--for: got coral, expected some of mediapipe,frigate,pycoral. Fix: --for pycoral"
    assert not (bundle / "for").exists()


def test_a_misspelt_client_gets_the_nearest(bundle: Path, program: Program) -> None:
    error = one_line_error(program("export", bundle, "--for", "frigat", status=1))
    assert error.endswith("expected some of mediapipe,frigate,pycoral. Fix: --for frigate")


def test_a_conversion_without_tflite_cannot_export(tiny_run: Path, tmp_path: Path, program: Program) -> None:
    out = tmp_path / "colors.linnet"
    done = program("convert", tiny_run, "--out", out, "--formats", "onnx", "--for", "frigate", status=1)
    assert one_line_error(done).startswith("--for: got formats onnx, expected tflite among them")
    assert not out.exists()


def test_a_damaged_model_is_not_exported(bundle: Path, program: Program) -> None:
    with (bundle / MODEL).open("ab") as file:
        file.write(b"\0")
    assert MODEL in one_line_error(program("export", bundle, "--for", "mediapipe", status=1))
    assert not list(bundle.glob("for/*"))
