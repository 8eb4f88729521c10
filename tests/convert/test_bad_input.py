"""Models of another task, labels that do not fit, and places that cannot be read or written: one line each, and
no part of a bundle.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from foreign import NORMALIZED, mobile
from program import Program, one_line_error

SAYS = ("--color", "rgb", *NORMALIZED)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.tflite", "got No such file or directory, expected a run of linnet train, a SavedModel, or a file .t"),
        ("model.h5", "got No such file or directory, expected a run"),
        ("model.pb", "got no such file, expected a run"),
    ],
)
def test_a_path_to_nothing_gets_one_line(name: str, says: str, tmp_path: Path, program: Program) -> None:
    done = program("convert", tmp_path / name, "--out", tmp_path / "x.linnet", status=1)
    assert says in one_line_error(done)


@pytest.mark.parametrize("closed", ["model.onnx", "labels.txt", "saved", "run", "folder", "out"])
def test_a_path_without_permission_gets_one_line(
    closed: str, whole_models: dict[str, Path], three_labels: Path, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    for folder in ("folder", "saved", "out"):
        (tmp_path / folder).mkdir()
    for name in ("model.onnx", "folder/model.onnx"):
        (tmp_path / name).write_bytes(whole_models["onnx"].read_bytes())
    (tmp_path / "labels.txt").write_bytes(three_labels.read_bytes())
    (tmp_path / "saved" / "saved_model.pb").touch()
    shutil.copytree(tiny_run, tmp_path / "run")
    source = {"saved": "saved", "run": "run", "folder": "folder/model.onnx"}.get(closed, "model.onnx")
    says = () if closed == "run" else ("--labels", tmp_path / "labels.txt", *SAYS)
    path = tmp_path / closed
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("root may read everything")
        status = 1 if closed in ("folder", "out") else 2  # Click looks at the arguments themselves
        done = program("convert", tmp_path / source, "--out", tmp_path / "out" / "x.linnet", *says, status=status)
    finally:
        path.chmod(0o755)
    error = one_line_error(done)
    assert str(path) in error
    assert ("Permission denied" if status == 1 else "is not readable") in error
    assert not list((tmp_path / "out").iterdir())


def another_task(inputs: list[list[int]], outputs: list[list[int]]) -> onnx.ModelProto:
    """Constants from whatever comes in: its shapes are all that matters."""
    nodes = [helper.make_node("ConstantOfShape", [f"shape{i}"], [f"out{i}"]) for i in range(len(outputs))]
    given = [helper.make_tensor_value_info(f"in{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(inputs)]
    wanted = [helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(outputs)]
    shapes = [helper.make_tensor(f"shape{i}", TensorProto.INT64, [len(s)], s) for i, s in enumerate(outputs)]
    graph = helper.make_graph(nodes, "another", given, wanted, shapes)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("inputs", "outputs", "got"),
    [
        ([[1, 15600]], [[1, 521]], "an input of float32 [1, 15600] and an output of float32 [1, 521]"),  # audio
        ([[1, 3, 64, 64]], [[1, 21, 64, 64]], "an input of float32 [1, 3, 64, 64] and an output of"),  # segmentation
        (
            [[1, 3, 64, 64]],
            [[1, 1]],
            "an input of float32 [1, 3, 64, 64] and an output of float32 [1, 1]",
        ),  # regression
        ([[1, 1, 28, 28]], [[1, 10]], "an input of float32 [1, 1, 28, 28] and an output of"),  # in grey
        (
            [[1, 3, 64, 64]],
            [[1, 10, 4], [1, 10], [1, 10], [1]],  # detection
            "1 inputs and 4 outputs (float32 [1, 3, 64, 64] to float32 [1, 10, 4], float32 [1, 10], float32 [1, 10], ",
        ),
        ([[1, 3, 64, 64], [1, 4]], [[1, 10]], "2 inputs and 1 outputs"),
    ],
)
def test_a_model_of_another_task_is_named_by_its_tensors(
    inputs: list[list[int]], outputs: list[list[int]], got: str, tmp_path: Path, program: Program
) -> None:
    onnx.save(another_task(inputs, outputs), tmp_path / "model.onnx")
    error = one_line_error(program("convert", tmp_path / "model.onnx", "--out", tmp_path / "x.linnet", status=1))
    assert f"model.onnx: got {got}" in error
    assert "expected a classifier: one picture of three colors in, [1, classes] out" in error


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\nb\n", ": got 2 labels, expected 3, one for each output of the model. Fix: a first line such as"),
        (b"a\nb\nc\nd\n", ": got 4 labels, expected 3, one for each output of the model"),
        (b"", ": got 0 labels, expected 3"),
        (b"\xff\xfe\x00", " line 1: got bytes that are not UTF-8, expected UTF-8 text"),
        (None, ": got No such file or directory, expected one label a line, in the order of the model's outputs"),
    ],
)
def test_labels_that_do_not_fit_get_one_line(
    content: bytes | None, says: str, whole_models: dict[str, Path], tmp_path: Path, program: Program
) -> None:
    labels = tmp_path / "labels.txt"
    if content is not None:
        labels.write_bytes(content)
    out = tmp_path / "x.linnet"
    done = program("convert", whole_models["onnx"], "--out", out, "--labels", labels, *SAYS, status=1)
    assert one_line_error(done).startswith(f"{labels}{says}")
    assert not out.exists()


@pytest.fixture
def small_files() -> Iterator[None]:
    """A full disk: no file may grow beyond 4 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["run", "tflite", "onnx"])
def test_a_full_disk_leaves_nothing(
    kind: str,
    whole_models: dict[str, Path],
    three_labels: Path,
    tiny_run: Path,
    tmp_path: Path,
    program: Program,
    small_files: None,
) -> None:
    del small_files
    source = tiny_run if kind == "run" else whole_models[kind]
    says = (*SAYS, "--labels", three_labels) if kind == "onnx" else ()
    done = program("convert", source, "--out", tmp_path / "x.linnet", *says, status=1)
    assert one_line_error(done) == f"{tmp_path / 'x.linnet'}: File too large"
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_file_is_examined_leaves_nothing(whole_models: dict[str, Path], tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "linnet_runtime.cli",
        "convert",
        whole_models["onnx"],
        "--out",
        tmp_path / "x.linnet",
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as converting:
        children = Path(f"/proc/{converting.pid}/task/{converting.pid}/children")
        while not children.read_text().strip():
            assert converting.poll() is None, "it ended before it could be stopped"
        os.killpg(converting.pid, signal.SIGINT)
        _, errors = converting.communicate()
    assert errors.strip() == "error: stopped by ctrl-C"
    assert converting.returncode == 130
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_read_but_cannot_be_translated_is_one_line(
    whole_models: dict[str, Path], three_labels: Path, tmp_path: Path, program: Program
) -> None:
    """An operator that neither Keras nor TensorFlow Lite has here: the line says what can be had."""
    model = onnx.load(whole_models["onnx"])
    model.graph.node[-1].op_type = "Erf"
    onnx.save(model, tmp_path / "model.onnx")
    says: tuple[Any, ...] = ("--labels", three_labels, *SAYS)
    done = program("convert", tmp_path / "model.onnx", "--out", tmp_path / "x.linnet", *says, status=1)
    error = one_line_error(done)
    assert error.startswith("operator Erf: got no translation to Keras, expected one of Add, ")
    assert error.endswith("Fix: only the formats onnx and openvino, and no calibration photos")
    program("convert", tmp_path / "model.onnx", "--out", tmp_path / "x.linnet", *says, "--formats", "onnx,openvino")


def test_a_file_that_is_no_model_gets_a_fix(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    done = program("convert", "notes.txt", "--out", "x.linnet", status=1)
    assert one_line_error(done) == (
        "notes.txt: got a file .txt, expected a run of linnet train, a SavedModel, or a file .tflite, .onnx, .xml, "
        ".keras, .h5. Fix: give the model's file, or the folder of the run or of the SavedModel"
    )


def test_a_folder_of_photos_is_no_source_and_is_to_be_trained_on(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "bolt").mkdir(parents=True)
    done = program("convert", "photos", "--out", "x.linnet", status=1)
    error = one_line_error(done)
    assert error.startswith(
        "photos: got a folder that is neither a run nor a SavedModel, expected a run of linnet train"
    )
    assert error.endswith("Fix: linnet train photos --out RUN makes a run of photos")


def a_fifo(path: Path) -> None:
    """Reading it would wait for ever."""
    os.mkfifo(path)


def zeros_without_end(path: Path) -> None:
    """Reading it to its end would take all memory."""
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [a_fifo, zeros_without_end])
@pytest.mark.parametrize("name", ["model.tflite", "model.onnx", "model.keras", "saved/saved_model.pb", "labels.txt"])
def test_a_file_that_is_not_regular_is_refused_at_once(name: str, make: Any, tmp_path: Path, program: Program) -> None:
    (tmp_path / "saved").mkdir()
    make(tmp_path / name)
    network, scores = mobile()
    onnx.save(network.model(scores), tmp_path / "sound.onnx")
    of_name = {"saved/saved_model.pb": tmp_path / "saved", "labels.txt": tmp_path / "sound.onnx"}
    source = of_name.get(name, tmp_path / name)
    says = ("--labels", tmp_path / "labels.txt", *SAYS)
    error = one_line_error(program("convert", source, "--out", tmp_path / "x.linnet", *says, status=1))
    assert error.startswith(f"{tmp_path / name if name == 'labels.txt' else source}: got not a regular file, expected ")
    assert not (tmp_path / "x.linnet").exists()


@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + ".tflite"])
def test_a_name_that_is_too_long_is_one_line_that_names_it(name: str, tmp_path: Path, program: Program) -> None:
    """A name has at most 255 bytes."""
    error = one_line_error(program("convert", tmp_path / name, "--out", tmp_path / "x.linnet", status=1))
    assert error.startswith(f"{tmp_path / name}: got File name too long, expected a run of linnet train")


@pytest.mark.parametrize("bad", ["source", "out", "folder"])
def test_a_path_that_is_not_utf8_is_one_line(bad: str, tmp_path: Path, program: Program) -> None:
    """The converters and engines open no such file."""
    name = os.fsdecode(b"Sch\xe4den")
    source = tmp_path / {"source": f"{name}.tflite", "folder": f"{name}/model.tflite"}.get(bad, "model.tflite")
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(b"TFL3")
    out = tmp_path / (f"{name}.linnet" if bad == "out" else "x.linnet")
    error = one_line_error(program("convert", source, "--out", out, status=1))
    assert rf"{tmp_path}/Sch\xe4den" in error
    assert ": got a path that is not UTF-8, expected UTF-8, because the converters open no other" in error
    assert not out.exists()
