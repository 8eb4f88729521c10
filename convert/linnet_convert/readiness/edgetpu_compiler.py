"""edgetpu_compiler, where it is installed: an int8 .tflite compiled for the Edge TPU, and the compiler's log."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from linnet_convert.compilers.edgetpu import Compilation, read_log
from linnet_convert.errors import ConversionError
from linnet_convert.readiness.api import Requirement
from linnet_convert.writers.artifacts import describe_artifact, model_path
from linnet_runtime.bundle import Artifact

_COMPILER = "edgetpu_compiler"
_WITHIN_S = 600


def has_compiler() -> bool:
    """Whether edgetpu_compiler is on the PATH."""
    return shutil.which(_COMPILER) is not None


def compile_for_edgetpu(artifact: Artifact, root: Path) -> tuple[Artifact, Compilation]:
    """Writes ``model.int8_edgetpu.tflite`` beside an int8 .tflite of the bundle's directory ``root``.

    Raises:
        ConversionError: the compiler refuses the model, in its own words, or maps none of it.
    """
    source = root / artifact.path
    command = [_COMPILER, "--show_operations", "--out_dir", str(source.parent), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConversionError(_COMPILER, got=f"no result in {_WITHIN_S} s", expected="a compiled model") from error
    compiled = model_path(root, "tflite", artifact.precision, compiled_for="edgetpu")
    said = done.stdout + done.stderr
    compilation = read_log(said)
    compiled.with_suffix(".log").unlink(missing_ok=True)  # the rows that it printed
    if done.returncode or not compiled.exists() or not compilation.on_edge_tpu:
        reasons = [line for line in said.splitlines() if "ERROR" in line or "ailed" in line] or said.splitlines()[-1:]
        reasons += [f"on the CPU: {', '.join(compilation.elsewhere)}"] if compilation.elsewhere else []
        raise ConversionError(f"{_COMPILER} {artifact.path}", got="; ".join(reasons), expected="a compiled model")
    entry = describe_artifact(
        root,
        compiled,
        "tflite",
        artifact.precision,
        (artifact.input, artifact.output),
        requires={"delegate": "edgetpu"},
    )
    return entry, compilation


def as_requirement(compilation: Compilation) -> Requirement:
    """What the compiler's log states, as a row among the requirements."""
    elsewhere = f"; on the CPU: {', '.join(compilation.elsewhere)}" if compilation.elsewhere else ""
    return Requirement(
        f"edgetpu_compiler {compilation.version}",
        "note" if compilation.elsewhere else "met",
        f"{compilation.on_edge_tpu} of {compilation.total} operations on the Edge TPU, {compilation.on_chip} of "
        f"parameters on the chip, {compilation.off_chip} off it{elsewhere}",
    )
