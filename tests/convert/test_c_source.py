"""The model as C++ source, for microcontrollers: a compiler takes it, and the program has the model's own bytes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from linnet_convert.compilers.api import Job
from linnet_convert.compilers.c_source import ARRAY, EXAMPLE, HEADER, write_sources
from linnet_convert.errors import ConversionError
from linnet_convert.testing.compiler_conformance import write_sample_bundle
from linnet_runtime.bundle import open_bundle

COMPILER = shutil.which("c++")
LABELS = ('a "quote" \\ and ??/', "Größe\nx", "*/ %s")
_MAIN = """
#include <cstdio>
#include "linnet_model.h"
int main() {
  std::fwrite(linnet::kModel, 1, linnet::kModelBytes, stdout);
  for (const char* label : linnet::kLabels) std::fprintf(stderr, "%s%c", label, 0);
  std::fprintf(stderr, "%d %d %zu", linnet::kHeight, linnet::kWidth, linnet::kArenaBytes);
}
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    bundle = open_bundle(write_sample_bundle(tmp_path / "colors.linnet"))
    bundle = msgspec.structs.replace(bundle, labels=LABELS)
    int8 = next(artifact for artifact in bundle.artifacts if (artifact.format, artifact.is_int8) == ("tflite", True))
    folder = tmp_path / "made"
    folder.mkdir()
    return Job(bundle, int8, "tflm", folder, tmp_path / "log", 60)


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
def test_a_program_with_the_array_has_the_models_bytes_and_labels(job: Job) -> None:
    """Whatever characters a label has; without one warning."""
    model = Path(job.artifact.path).read_bytes()
    write_sources(job, model, 4096, ["CONV_2D"])
    (job.folder / "main.cc").write_text(_MAIN)
    command = [str(COMPILER), "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.cc", ARRAY, "-o", "main"]
    built = subprocess.run(command, cwd=job.folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    done = subprocess.run([job.folder / "main"], capture_output=True, check=True)
    assert done.stdout == model
    *labels, figures = done.stderr.decode().split("\0")
    assert tuple(labels) == LABELS
    assert figures == "24 32 4096"


def test_the_example_adds_the_models_operators_by_their_names_in_tflm(job: Job) -> None:
    write_sources(job, b"model", 4096, ["ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "HARD_SWISH", "RELU6", "STRIDED_SLICE"])
    text = (job.folder / EXAMPLE).read_text()
    assert "MicroMutableOpResolver<6>" in text
    for name in ("Add", "Conv2D", "DepthwiseConv2D", "HardSwish", "Relu6", "StridedSlice"):
        assert f"operators.Add{name}();" in text


def test_the_header_states_how_outputs_become_logits(job: Job) -> None:
    write_sources(job, b"model", 4096, ["ADD"])
    text = (job.folder / HEADER).read_text()
    assert f"kScale = {job.artifact.output.scale!r}f;" in text
    assert f"kZeroPoint = {job.artifact.output.zero_point};" in text


def test_a_model_that_takes_no_pixels_is_refused(job: Job) -> None:
    """The example would show it the wrong numbers."""
    floats = msgspec.structs.replace(job.artifact.input, dtype="float32", scale=None, zero_point=None)
    other = Job(job.bundle, msgspec.structs.replace(job.artifact, input=floats), "tflm", job.folder, job.log, 60)
    with pytest.raises(ConversionError, match="got float32 NHWC input, expected uint8 RGB pixels"):
        write_sources(other, b"model", 4096, ["ADD"])
