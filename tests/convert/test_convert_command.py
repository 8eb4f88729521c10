"""``linnet convert``: what is in the bundle, and what is said, and left, where there is none."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from linnet_runtime.bundle import open_bundle
from linnet_runtime.bundle_files import check_file, files_of
from linnet_runtime.proof.canary import load_canary
from linnet_runtime.run_files import load_run_photos
from linnet_train.quantization import FakeQuantize
from program import Program, one_line_error

REPORTS = {f"report/{name}.json" for name in ("parity", "integer", "layers", "calibration")} | {"report/index.html"}
ALWAYS = {"bundle.json", "canary.npz", "reference.npz"} | REPORTS
OF_FORMAT = {
    "tflite": {"model.int8.tflite", "model.fp32.tflite"},
    "onnx": {"model.int8.onnx", "model.fp32.onnx"},
    "openvino": {"openvino/int8.xml", "openvino/int8.bin", "openvino/fp16.xml", "openvino/fp16.bin"},
}


def files(bundle: Path) -> set[str]:
    return {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}


@keras.saving.register_keras_serializable("test")
class TurnsOverAlone(FakeQuantize):
    """A fault that a conversion can have: for one photo, as the converter traces it, another layer than for several."""

    def call(self, inputs: Any, training: bool = False, follow: bool = True) -> Any:
        return super().call(-inputs if inputs.shape[0] == 1 else inputs, training, follow)


@pytest.fixture(scope="module")
def unlike_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose quantized model becomes another in the .tflite, from the addition on."""
    run = shutil.copytree(tiny_run, tmp_path_factory.mktemp("runs") / "unlike-run")
    model = keras.saving.load_model(run / "qat.keras", compile=False)
    model.get_layer("add_range").__class__ = TurnsOverAlone
    model.save(run / "qat.keras")
    return run


@pytest.mark.parametrize("formats", ["onnx", "openvino", "openvino, tflite"])
def test_the_bundle_has_the_formats_that_were_asked_for(
    formats: str, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "colours.linnet"
    program("convert", tiny_run, "--out", out, "--formats", formats)
    wanted = [OF_FORMAT[name.strip()] for name in formats.split(",")]
    assert files(out) == ALWAYS.union(*wanted)
    for file in files_of(open_bundle(out)):
        check_file(file)
    assert [path.name for path in tmp_path.iterdir()] == ["colours.linnet"]


def test_the_bundle_says_what_it_is_and_where_it_came_from(tiny_run: Path, tmp_path: Path, program: Program) -> None:
    out = tmp_path / "colours.linnet"
    done = program("convert", tiny_run, "--out", out, "--formats", "tflite", "--json")
    assert files(out) == ALWAYS | OF_FORMAT["tflite"]
    bundle, metrics = open_bundle(out), json.loads((tiny_run / "metrics.json").read_text())
    assert bundle.name == "colours"
    assert list(bundle.labels) == metrics["classes"] == ["blue", "green", "red"]
    assert (bundle.preprocess.height, bundle.preprocess.width, bundle.preprocess.crop) == (32, 32, "centre")
    assert bundle.metrics == {"float_top1": metrics["float"]["top1"], "int8_top1": metrics["qat"]["top1"]}
    assert bundle.temperature == metrics["temperature"]
    assert bundle.provenance.source == tiny_run.name
    age = datetime.now(UTC) - datetime.fromisoformat(bundle.provenance.created)
    assert 0 <= age.total_seconds() < 3600
    assert bundle.provenance.versions["keras"] == keras.__version__
    assert {"linnet", "tensorflow", "onnx", "openvino", "ai-edge-litert"} <= set(bundle.provenance.versions)
    said = json.loads(done.stdout)
    assert said["bundle"] == str(out)
    assert [row["path"] for row in said["artifacts"]] == ["model.int8.tflite", "model.fp32.tflite"]
    for row, artifact in zip(said["artifacts"], bundle.artifacts, strict=True):
        assert artifact.parity is not None
        assert row["agreement"] == artifact.parity.agreement >= 0.9
        assert row["integer"] == ("fully integer" if artifact.is_int8 else "float")
        assert row["n"] == 12


def test_a_table_shows_every_artifact(tiny_run: Path, tmp_path: Path, program: Program) -> None:
    done = program("convert", tiny_run, "--out", tmp_path / "x.linnet", "--formats", "tflite")
    for name, kind in (("model.int8.tflite", "fully integer"), ("model.fp32.tflite", "float")):
        assert re.search(rf"^{name} +{kind} ", done.stdout, re.MULTILINE)
    assert f"The evidence: {tmp_path / 'x.linnet' / 'report' / 'index.html'}" in done.stdout
    assert done.stderr == ""


def photos_in(run: Path) -> set[bytes]:
    return {photo.tobytes() for photos in load_run_photos(run).values() for photo in photos.pixels}


@pytest.mark.parametrize("private", [False, True])
def test_photos_are_in_the_bundle_only_where_they_may_be(
    private: bool, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "x.linnet"
    program("convert", tiny_run, "--out", out, "--formats", "tflite", *(["--no-canary-photos"] if private else []))
    bundle = open_bundle(out)
    canary = load_canary(bundle)
    assert canary is not None
    canaries = canary.pixels
    assert canaries.shape == (8, 32, 32, 3)
    photos = photos_in(tiny_run)
    assert {canary.tobytes() in photos for canary in canaries} == {not private}
    assert np.std(canaries) > 20, "pictures that make a network say something"
    if private:
        assert "data:image/jpeg" not in (out / "report" / "index.html").read_text()
    assert bundle.reference is not None
    with np.load(bundle.reference.path) as arrays:
        assert all(array.ndim == 2 for array in arrays.values()), "digests and logits"


def test_an_artifact_that_disagrees_costs_the_bundle(unlike_run: Path, tmp_path: Path, program: Program) -> None:
    done = program("convert", unlike_run, "--out", tmp_path / "x.linnet", "--formats", "tflite", status=1)
    error = one_line_error(done)
    assert error.startswith("parity: got model.int8.tflite ")
    assert "fp32" not in error
    assert "interval of the top-1 agreement reaches 0.97 in int8" in error
    assert re.search(
        r"the first tensor to leave its tolerance in the \.tflite: \w+ of layer add_range is off by", error
    )
    assert not list(tmp_path.iterdir())


def test_a_bundle_that_is_there_is_kept_and_nothing_is_begun(tmp_path: Path, program: Program) -> None:
    out = tmp_path / "x.linnet"
    out.mkdir()
    error = one_line_error(program("convert", tmp_path / "not even a run", "--out", out, status=1))
    assert error == f"{out}: got it exists, expected a new name. Fix: --overwrite, or another name"


def test_overwrite_replaces_the_whole_bundle(
    tiny_run: Path, unlike_run: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "x.linnet"
    (out / "openvino").mkdir(parents=True)
    (out / "openvino" / "int8.xml").write_text("an older bundle's")
    (out / "bundle.json").write_text("{}")
    program("convert", unlike_run, "--out", out, "--formats", "tflite", "--overwrite", status=1)
    assert files(out) == {"bundle.json", "openvino/int8.xml"}, "the older one, whole"
    program("convert", tiny_run, "--out", out, "--formats", "tflite", "--overwrite")
    assert files(out) == ALWAYS | OF_FORMAT["tflite"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.linnet"]


@pytest.mark.parametrize(
    ("formats", "got", "fix"),
    [
        ("tflite,coreml", "coreml", ""),
        ("TFLITE", "TFLITE", ". Fix: --formats tflite"),
        ("", "''", ""),
        ("tflite,", "''", ""),
    ],
)
def test_an_unknown_format_gets_one_line(
    formats: str, got: str, fix: str, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    done = program("convert", tiny_run, "--out", tmp_path / "x.linnet", "--formats", formats, status=1)
    assert one_line_error(done) == f"--formats: got {got}, expected some of tflite,onnx,openvino{fix}"
    assert not list(tmp_path.iterdir())


def remove(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        (run / name).write_bytes(content)

    return spoil


def cut(name: str) -> Callable[[Path], None]:
    return lambda run: write(name, (run / name).read_bytes()[:1000])(run)


def empty(run: Path) -> None:
    for path in run.iterdir():
        path.unlink()


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (shutil.rmtree, "run: got no such file or folder, expected a run of linnet train"),
    "an empty folder": (
        empty,
        "run: got a folder that is neither a run nor a SavedModel, expected a run of linnet train",
    ),
    "not done": (remove("metrics.json"), "run: got a run that is not done, expected a trained one. Fix: linnet train"),
    "no photos": (remove("photos.npz"), "photos.npz: got"),
    "no float model": (remove("float.keras"), "run: got"),
    "no int8 model": (remove("qat.keras"), "run: got"),
    "half a model": (cut("qat.keras"), "run: got"),
    "half of the photos": (cut("photos.npz"), "photos.npz: got"),
    "text for photos": (write("photos.npz", b"photos"), "photos.npz: got"),
    "metrics that are no JSON": (write("metrics.json", b"{"), "metrics.json: got"),
    "metrics of something else": (write("metrics.json", b'{"accuracy": 1}'), "metrics.json: got"),
    "metrics that are a list": (write("metrics.json", b"[1]"), "metrics.json: got"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_folder_that_is_no_whole_run_gets_one_line(
    case: str, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    run, (spoil, says) = shutil.copytree(tiny_run, tmp_path / "run"), SPOILT[case]
    spoil(run)
    error = one_line_error(program("convert", run, "--out", tmp_path / "x.linnet", "--formats", "tflite", status=1))
    assert says in error
    assert {path.name for path in tmp_path.iterdir()} <= {"run"}


@pytest.mark.parametrize(
    ("number", "status", "name"), [(signal.SIGINT, 130, "ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_conversion_that_is_stopped_leaves_nothing(
    number: signal.Signals, status: int, name: str, tiny_run: Path, tmp_path: Path
) -> None:
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "linnet_runtime.cli", "convert", tiny_run, "--out", out / "x.linnet"]
    environment = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as converting:
        while not list(out.glob(".x.linnet.*/x.linnet/model.int8.tflite")):  # half of the work is done
            assert converting.poll() is None, "it ended before it could be stopped"
            time.sleep(0.005)
        assert list(temporary.rglob("__autograph_generated_file*")), "TensorFlow's files are in this folder"
        converting.send_signal(number)
        _, errors = converting.communicate()
    assert errors.strip() == f"error: stopped by {name}"
    assert converting.returncode == status
    assert not list(out.iterdir())
    assert not list(temporary.iterdir())


def test_a_conversion_is_told_to_nobody() -> None:
    """OpenVINO's converter would report it to its maker."""
    code = (
        "import linnet_convert.writers.openvino, openvino.tools.ovc.convert_impl as converter\n"
        "print(converter.tm.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"


@pytest.mark.parametrize("module", ["linnet_devices.ort", "linnet_convert.readers.onnx", "linnet_convert.integer.onnx"])
def test_onnx_runtime_reports_nothing_to_its_maker(module: str, tmp_path: Path) -> None:
    """From its import on, it would keep a session in a temporary file."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment["TMPDIR"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", f"import {module}"], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
