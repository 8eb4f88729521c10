"""edgetpu_compiler, where it is installed: an int8 .tflite compiled for the Edge TPU, and the compiler's log."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import msgspec

from linnet_convert.errors import ConversionError
from linnet_convert.readiness.api import Requirement
from linnet_convert.writers.artifacts import describe_artifact, model_path
from linnet_runtime.bundle import Artifact

_COMPILER = "edgetpu_compiler"
_WITHIN_S = 600
_MAPPED = "Mapped to Edge TPU"
_ROW = re.compile(r"(?P<operator>[A-Z][A-Z0-9_]+|[a-z-]+-op)\s+(?P<count>\d+)\s+(?P<status>\S.*)")
_FIELDS = {
    "on_chip": re.compile(r"On-chip memory used for caching model parameters: (\S+)"),
    "off_chip": re.compile(r"Off-chip memory used for streaming uncached model parameters: (\S+)"),
    "version": re.compile(r"Edge TPU Compiler version (\S+)"),
}


class Compilation(msgspec.Struct, frozen=True, kw_only=True):
    """What the compiler's log states about a model."""

    version: str
    """The compiler's version."""
    on_edge_tpu: int
    """The number of operations that run on the Edge TPU."""
    total: int
    """The number of operations in all."""
    elsewhere: tuple[str, ...]
    """The other operations: "OPERATOR (count): the compiler's reason"."""
    on_chip: str
    """Memory for parameters on the chip, as the log has it: "3.21MiB"."""
    off_chip: str
    """Parameters that are streamed at each inference, likewise."""

    def requirement(self) -> Requirement:
        """As a row among the requirements."""
        elsewhere = f"; on the CPU: {', '.join(self.elsewhere)}" if self.elsewhere else ""
        return Requirement(
            f"edgetpu_compiler {self.version}",
            "note" if self.elsewhere else "met",
            f"{self.on_edge_tpu} of {self.total} operations on the Edge TPU, {self.on_chip} of parameters on the chip, "
            f"{self.off_chip} off it{elsewhere}",
        )


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


def read_log(text: str) -> Compilation:
    """The compiler's output as a value; a field that the output lacks is "unknown"."""
    found = {name: pattern.search(text) for name, pattern in _FIELDS.items()}
    rows = [match for line in text.splitlines() if (match := _ROW.fullmatch(line.strip()))]
    mapped = sum(int(row["count"]) for row in rows if row["status"] == _MAPPED)
    return Compilation(
        on_edge_tpu=mapped,
        total=sum(int(row["count"]) for row in rows),
        elsewhere=tuple(
            f"{row['operator']} ({row['count']}): {row['status']}" for row in rows if row["status"] != _MAPPED
        ),
        **{name: match[1] if match else "unknown" for name, match in found.items()},
    )
