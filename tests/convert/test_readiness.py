"""Requirements of accelerators' compilers, on models that meet them and models that do not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from linnet_convert.compilers.edgetpu import read_log
from linnet_convert.readiness.api import Requirement
from linnet_convert.readiness.edgetpu import check_edgetpu
from linnet_convert.readiness.npu import check_npu
from linnet_runtime.bundle import open_bundle
from program import DATA, Program, needs_data, one_line_error


def unmet(requirements: list[Requirement]) -> dict[str, str]:
    return {requirement.what: requirement.found for requirement in requirements if requirement.verdict == "not met"}


def test_our_int8_models_meet_everything(bundle_folder: Path) -> None:
    assert unmet(check_edgetpu(bundle_folder / "model.int8.tflite")) == {}
    assert unmet(check_npu(bundle_folder / "openvino" / "int8.xml")) == {}


def test_the_edge_tpu_takes_integers_only(bundle_folder: Path) -> None:
    assert {"8-bit integers only", "operators that the compiler maps"} <= set(
        unmet(check_edgetpu(bundle_folder / "model.fp32.tflite"))
    )


def test_a_float_ir_is_not_quantized_for_the_npu(bundle_folder: Path) -> None:
    assert set(unmet(check_npu(bundle_folder / "openvino" / "fp16.xml"))) == {"quantized activations", "8-bit weights"}


def _tflite(path: Path, shape: tuple[int | None, ...], compute: object) -> Path:
    function = tf.function(compute, input_signature=[tf.TensorSpec(shape, tf.float32)])
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert())
    return path


@pytest.mark.parametrize(
    ("shape", "compute", "what", "found"),
    [
        ((None, 4, 4, 3), lambda x: x + 1.0, "static shapes", "x [-1, 4, 4, 3]"),
        ((2, 4, 4, 3), lambda x: x + 1.0, "batch 1, three innermost dimensions", "[2, 4, 4, 3]"),
        ((1, 4, 4, 3), lambda x: tf.math.floor(x), "operators that the compiler maps", "FLOOR"),
        ((1, 4, 4, 3), lambda x: tf.nn.relu(tf.nn.max_pool2d(x, 2, 2, "SAME")), "the operators' limits", "MAX_POOL_2D"),
        ((1, 20_000), tf.nn.softmax, "the operators' limits", "SOFTMAX of more than 16000"),
    ],
)
def test_what_the_edge_tpu_does_not_take_is_named(
    shape: tuple[int | None, ...], compute: object, what: str, found: str, tmp_path: Path
) -> None:
    assert found in unmet(check_edgetpu(_tflite(tmp_path / "model.tflite", shape, compute)))[what]


@pytest.mark.parametrize(("version", "refused"), [(5, False), (6, True)])
def test_an_operator_newer_than_the_compiler_is_named(
    version: int, refused: bool, bundle_folder: Path, tmp_path: Path
) -> None:
    model = schema.ModelT.InitFromPackedBuf((bundle_folder / "model.int8.tflite").read_bytes(), 0)
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.CONV_2D:
            code.version = version
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "model.tflite").write_bytes(builder.Output())
    found = unmet(check_edgetpu(tmp_path / "model.tflite"))
    assert set(found) == ({"versions that the compiler knows"} if refused else set())
    assert not refused or "CONV_2D version 6, above 5" in found["versions that the compiler knows"]


def test_parameters_that_do_not_fit_on_the_chip_are_a_note(tmp_path: Path) -> None:
    weights = tf.reshape(tf.range(3_000_000.0), (3, 1_000_000))
    path = _tflite(tmp_path / "model.tflite", (1, 3), lambda x: tf.matmul(x, weights))
    (cache,) = (requirement for requirement in check_edgetpu(path) if requirement.what == "parameters on the chip")
    assert cache.verdict == "note"
    assert "streamed" in cache.found


@needs_data
def test_a_model_that_the_compiler_made_is_recognised() -> None:
    (found,) = check_edgetpu(DATA / "models" / "mobilenet_v1_0.25_128_quant_edgetpu.tflite")
    assert (found.what, found.verdict) == ("compiled", "met")


LOG = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 2644 ms.

Input model: model.int8.tflite
Input size: 4.22MiB
Output model: model.int8_edgetpu.tflite
Output size: 4.71MiB
On-chip memory used for caching model parameters: 3.21MiB
On-chip memory remaining for caching model parameters: 3.78MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 67
Operation log: model.int8_edgetpu.log

Operator                       Count      Status

CONV_2D                        35         Mapped to Edge TPU
DEPTHWISE_CONV_2D              17         Mapped to Edge TPU
ADD                            10         Mapped to Edge TPU
LOGISTIC                       1          More than one subgraph is not supported
QUANTIZE                       2          Mapped to Edge TPU
QUANTIZE                       2          Operation is otherwise supported, but not mapped
Compilation child process completed within timeout period.
Compilation succeeded!
"""


def test_the_compilers_log_is_read() -> None:
    """In the form of the logs that users of version 16.0 have published."""
    compilation = read_log(LOG)
    assert (compilation.version, compilation.on_edge_tpu, compilation.total) == ("16.0.384591198", 64, 67)
    assert (compilation.on_chip, compilation.off_chip) == ("3.21MiB", "0.00B")
    assert [line.partition(":")[0] for line in compilation.elsewhere] == ["LOGISTIC (1)", "QUANTIZE (2)"]


@pytest.fixture
def simulated_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a simulated edgetpu_compiler, a shell script, on the PATH."""

    def put(script: str) -> None:
        program = tmp_path / "bin" / "edgetpu_compiler"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return put


# --show_operations --out_dir FOLDER MODEL
COMPILES = f"""cp "$4" "$3/$(basename "$4" .tflite)_edgetpu.tflite"
touch "$3/$(basename "$4" .tflite)_edgetpu.log"
cat <<'END'
{LOG}END"""


def test_where_the_compiler_is_here_the_compiled_model_joins_the_bundle(
    simulated_compiler: Callable[[str], None], tiny_run: Path, program: Program, tmp_path: Path
) -> None:
    """Simulated: a compiler that leaves a copy of the model, and a log of the real one's form."""
    simulated_compiler(COMPILES)
    out = tmp_path / "parts.linnet"
    done = program("convert", tiny_run, "--out", out, "--formats", "tflite", "--check", "edgetpu", "--json")
    (check,) = json.loads(done.stdout)["checks"]
    assert "64 of 67 operations on the Edge TPU, 3.21MiB" in check["requirements"][-1]["found"]
    compiled = {a.compiled_for: Path(a.path).name for a in open_bundle(out).artifacts}["edgetpu"]
    assert compiled == "model.int8_edgetpu.tflite"
    assert json.loads((out / "report" / "readiness.json").read_bytes())[0]["accelerator"] == "edgetpu"
    assert not list(out.rglob("*.log"))


def test_what_the_compiler_refuses_is_its_own_word_and_no_bundle(
    simulated_compiler: Callable[[str], None], tiny_run: Path, program: Program, tmp_path: Path
) -> None:
    """Simulated, with the words of version 16.0."""
    words = "ERROR: Didn't find op for builtin opcode 'QUANTIZE' version '3'."
    simulated_compiler(f'echo "{words}"; exit 1')
    out = tmp_path / "parts.linnet"
    options = ("--out", out, "--formats", "tflite", "--check", "edgetpu")
    assert words in one_line_error(program("convert", tiny_run, *options, status=1))
    assert not out.exists()


def test_a_bundle_without_what_the_accelerator_reads_is_written_and_the_exit_status_says_so(
    tiny_run: Path, program: Program, tmp_path: Path
) -> None:
    out = tmp_path / "parts.linnet"
    done = program("convert", tiny_run, "--out", out, "--formats", "tflite", "--check", "npu", status=1)
    assert "does not meet" in one_line_error(done)
    assert "the bundle has none in openvino" in done.stdout
    open_bundle(out)


def test_an_unknown_accelerator_is_one_line(tiny_run: Path, program: Program, tmp_path: Path) -> None:
    done = program("convert", tiny_run, "--out", tmp_path / "b.linnet", "--check", "edgetpu,tpu", status=1)
    assert "expected some of edgetpu,npu" in one_line_error(done)
