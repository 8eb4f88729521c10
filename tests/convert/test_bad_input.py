"""Files that are damaged, of another task, or with code in them, and places that cannot be written: one line each, no
part of a bundle, and this process lives on.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers
from onnx import TensorProto, helper

from foreign import NORMALIZED, mobile
from linnet_convert.errors import ConversionError
from linnet_convert.facts import Kind, OpenSides
from linnet_convert.readers.examine import examine
from linnet_convert.readers.keras_config import check_layers
from program import one_line_error

Program = Callable[..., subprocess.CompletedProcess[str]]
SAYS = ("--color", "rgb", *NORMALIZED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, bundle_folder: Path) -> dict[str, Path]:
    """A whole model of each format."""
    folder = tmp_path_factory.mktemp("whole")
    network, scores = mobile()
    onnx.save(network.model(scores), folder / "model.onnx")
    pixels = keras.Input((32, 32, 3))
    keras.Model(pixels, layers.Dense(3)(layers.GlobalAveragePooling2D()(pixels))).save(folder / "model.keras")
    return {
        "tflite": bundle_folder / "model.int8.tflite",
        "onnx": folder / "model.onnx",
        "openvino": bundle_folder / "openvino" / "int8.xml",
        "keras": folder / "model.keras",
    }


def refusal(read: Callable[[], object]) -> str | None:
    """The line with which a file is refused; None where it is read after all."""
    try:
        read()
    except ConversionError as error:
        return str(error)
    return None


def damaged(data: bytes, seed: int) -> bytes:
    """Cut short, or with flipped bits: every other one of them in the first part, where the structure is."""
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        return data[: rng.integers(len(data))]
    spoilt = bytearray(data)
    for place in rng.integers(0, len(data) if seed % 2 else min(len(data), 4000), 1 if seed % 3 == 1 else 20):
        spoilt[place] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


@pytest.mark.parametrize(("kind", "cases"), [("tflite", 6), ("onnx", 4), ("openvino", 3)])
def test_a_damaged_file_is_refused_or_read_but_kills_nobody(
    kind: Kind, cases: int, whole: dict[str, Path], tmp_path: Path
) -> None:
    """Of 438 cases like these, none has crashed a reader; the child process is for the one that will."""
    data, refused = whole[kind].read_bytes(), 0
    path = tmp_path / whole[kind].name
    if kind == "openvino":
        path.with_suffix(".bin").write_bytes(whole[kind].with_suffix(".bin").read_bytes())
    for seed in range(cases):
        path.write_bytes(damaged(data, seed))
        line = refusal(lambda: examine(kind, path, OpenSides()))
        if line is not None:
            refused += 1
            assert line.startswith(str(path))
            assert "\n" not in line
    assert refused >= cases // 3, "those that are cut short at least"


@pytest.mark.parametrize("kind", ["tflite", "onnx", "openvino", "keras"])
@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more"], ids=["empty", "a zip's head"])
def test_a_file_of_something_else_gets_one_line(
    kind: str, content: bytes, whole: dict[str, Path], tmp_path: Path, program: Program
) -> None:
    path = tmp_path / f"model{whole[kind].suffix}"
    path.write_bytes(content)
    done = program("convert", path, "--out", tmp_path / "x.linnet", status=1)
    assert one_line_error(done).startswith(str(path))
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_reader_that_crashes_takes_nobody_along(tmp_path: Path) -> None:
    """Simulated: the child is one that aborts, as a library does on a file that it trusts too much."""
    (tmp_path / "sitecustomize.py").write_text("import os\nos.abort()\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from pathlib import Path\n"
        "from linnet_convert.facts import OpenSides\n"
        "from linnet_convert.readers.examine import examine\n"
        "try:\n    examine('tflite', Path('model.tflite'), OpenSides())\n"
        "except Exception as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "model.tflite: got its reader was ended by SIGABRT, expected a complete model. Fix: make the file again"
    )


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
    closed: str, whole: dict[str, Path], labels: Path, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    for folder in ("folder", "saved", "out"):
        (tmp_path / folder).mkdir()
    for name in ("model.onnx", "folder/model.onnx"):
        (tmp_path / name).write_bytes(whole["onnx"].read_bytes())
    (tmp_path / "labels.txt").write_bytes(labels.read_bytes())
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
    content: bytes | None, says: str, whole: dict[str, Path], tmp_path: Path, program: Program
) -> None:
    labels = tmp_path / "labels.txt"
    if content is not None:
        labels.write_bytes(content)
    out = tmp_path / "x.linnet"
    done = program("convert", whole["onnx"], "--out", out, "--labels", labels, *SAYS, status=1)
    assert one_line_error(done).startswith(f"{labels}{says}")
    assert not out.exists()


# .keras


def rewritten(source: Path, target: Path, change: Callable[[str], str]) -> Path:
    """A .keras with another configuration."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data.decode()).encode() if name == "config.json" else data)
    return target


def test_layers_that_keras_has_not_are_named_with_the_nearest(whole: dict[str, Path], tmp_path: Path) -> None:
    def change(config: str) -> str:
        return config.replace(
            '"module": "keras.layers", "class_name": "Dense"', '"module": "mine", "class_name": "Dens"'
        )

    path = rewritten(whole["keras"], tmp_path / "model.keras", change)
    with pytest.raises(ConversionError, match=r"got the layer Dens, expected layers of Keras's own, such as Dense"):
        check_layers(path)


def test_code_in_a_keras_file_is_not_run(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = keras.Input((32, 32, 3))
    x = layers.Lambda(lambda x: (Path("proof").touch(), x)[1], output_shape=(32, 32, 3))(pixels)
    keras.Model(pixels, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))).save("lambda.keras")
    Path("proof").unlink(missing_ok=True)
    done = program("convert", "lambda.keras", "--out", "x.linnet", status=1)
    assert "got a Lambda layer, expected no code in the file, because Linnet does not run it" in one_line_error(done)
    assert not Path("proof").exists()


@pytest.mark.parametrize("seed", range(24))
def test_a_damaged_keras_file_is_refused(seed: int, whole: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(damaged(whole["keras"].read_bytes(), seed))
    line = refusal(lambda: check_layers(path))
    if line is not None:
        assert line.startswith(str(path))
        return
    with zipfile.ZipFile(path) as archive:  # what no checksum covers: dates, attributes
        assert json.loads(archive.read("config.json"))


def test_a_saved_model_that_would_write_files_is_refused(tmp_path: Path, program: Program) -> None:
    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 32, 32, 3))])
        def __call__(self, x: Any) -> dict[str, Any]:
            tf.io.write_file(str(tmp_path / "proof"), "written")
            return {"logits": tf.reduce_mean(x, (1, 2))}

    module = Writes()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.__call__.get_concrete_function())
    done = program("convert", tmp_path / "saved", "--out", tmp_path / "x.linnet", status=1)
    assert "got the operator WriteFile, expected a model that only computes" in one_line_error(done)
    assert not (tmp_path / "proof").exists()


# the place


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
    kind: str, whole: dict[str, Path], labels: Path, tiny_run: Path, tmp_path: Path, program: Program, small_files: None
) -> None:
    del small_files
    source = tiny_run if kind == "run" else whole[kind]
    says = (*SAYS, "--labels", labels) if kind == "onnx" else ()
    done = program("convert", source, "--out", tmp_path / "x.linnet", *says, status=1)
    assert one_line_error(done) == f"{tmp_path / 'x.linnet'}: File too large"
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "labels.txt"
    path.write_text("a\nb\nc\n")
    return path


def test_ctrl_c_while_a_file_is_examined_leaves_nothing(whole: dict[str, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "linnet_runtime.cli", "convert", whole["onnx"], "--out", tmp_path / "x.linnet"]
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
    whole: dict[str, Path], labels: Path, tmp_path: Path, program: Program
) -> None:
    """An operator that neither Keras nor TensorFlow Lite has here: the line says what can be had."""
    model = onnx.load(whole["onnx"])
    model.graph.node[-1].op_type = "Erf"
    onnx.save(model, tmp_path / "model.onnx")
    says: tuple[Any, ...] = ("--labels", labels, *SAYS)
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
