"""Coral's Edge TPU: ``edgetpu_compiler``, if it is on the PATH. Debian has no package of it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from linnet_convert.compilers.api import Job, Product
from linnet_convert.compilers.process import run_tool
from linnet_convert.compilers.tools import Wanted
from linnet_convert.errors import ConversionError
from linnet_devices.api import Format, Probe

_FIX = "install edgetpu_compiler (coral.ai/docs/edgetpu/compiler, x86-64 Linux)"
_ELSEWHERE = re.compile(r"(?P<name>\S+) \((?P<count>\d+)\)")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
_SIZE = re.compile(r"(?P<number>[\d.]+)(?P<unit>B|KiB|MiB)")
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
    """Memory for parameters that are streamed at each inference, in the same form."""


class EdgeTpu:
    """``edgetpu``."""

    name = "edgetpu_compiler"
    targets = ("edgetpu",)
    formats: tuple[Format, ...] = ("tflite",)
    license = None
    tool = Wanted("edgetpu_compiler", program="edgetpu_compiler")

    def probe(self) -> Probe:
        found = self.tool.find()
        if found is None:
            return Probe(False, "no edgetpu_compiler on the PATH", _FIX)
        return Probe(True, details={"tool": str(found.path)})

    def compile(self, job: Job) -> Product:
        found = self.tool.find()
        if found is None:
            raise ConversionError(job.what, got="no edgetpu_compiler on the PATH", fix=_FIX)
        command = [str(found.path), "--show_operations", "--out_dir", str(job.folder), job.artifact.path]
        log = read_log(run_tool(job, command))
        model = job.folder / f"{Path(job.artifact.path).stem}_edgetpu.tflite"
        if not model.exists() or not log.on_edge_tpu:
            elsewhere = f", on the CPU: {', '.join(log.elsewhere)}" if log.elsewhere else ""
            raise ConversionError(job.what, got=f"no operator on the Edge TPU{elsewhere}", expected="a compiled model")
        rows = [row for text in log.elsewhere if (row := _ELSEWHERE.match(text))]
        return Product(
            path=model,
            format="tflite",
            version=log.version,
            options={"--show_operations": ""},
            mapped=log.on_edge_tpu,
            on_cpu={row["name"]: int(row["count"]) for row in rows},
            on_chip_bytes=_bytes(log.on_chip),
            off_chip_bytes=_bytes(log.off_chip),
            requires={"delegate": "edgetpu"},
        )


def _bytes(text: str) -> int | None:
    """``"3.21MiB"`` in bytes; None if the log does not state it."""
    found = _SIZE.fullmatch(text)
    return round(float(found["number"]) * _UNITS[found["unit"]]) if found else None


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
