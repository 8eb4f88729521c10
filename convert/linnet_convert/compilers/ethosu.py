"""Arm's Ethos-U: ``vela`` turns an int8 .tflite into one whose operators are a command stream for the NPU.

Arm states that the NPU is then bit-exact with TensorFlow Lite's reference kernels. Vela's latency is an estimate of
cycles. A board is a chip with the memory around it: the system configurations and memory modes are sections of
``Arm/vela.ini``, which comes with Vela. A board maker's own .ini describes the board's memory more exactly.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from linnet_convert.compilers.api import Job, Product
from linnet_convert.compilers.process import run_tool
from linnet_convert.compilers.tools import Wanted
from linnet_convert.errors import ConversionError
from linnet_devices.api import Format, Probe

_KIB = 1024
_MACS = {"u55": (32, 64, 128, 256), "u65": (256, 512), "u85": (128, 256, 512, 1024, 2048)}
_CPU_OPERATOR = re.compile(r"^\s*CPU: (?P<name>\w+) = ", re.MULTILINE)
_NPU_OPERATORS = re.compile(r"^NPU operators = (?P<count>\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Board:
    """A chip, and the memory that the board has for it."""

    chip: str
    """Vela's accelerator configuration, without its prefix: ``"u65-256"``."""
    system: str
    """The name of a ``System_Config`` of Arm/vela.ini."""
    memory: str
    """The name of a ``Memory_Mode`` of Arm/vela.ini."""
    source: str
    """Where these facts come from."""


BOARDS = {
    "imx93": Board(
        "u65-256", "Ethos_U65_High_End", "Dedicated_Sram_384KB", "NXP AN13854; ExecuTorch's EthosUCompileSpec"
    ),
    "alif-he": Board("u55-128", "Ethos_U55_High_End_Embedded", "Shared_Sram", "alifsemi/sdk-alif: ethos_u55.rst"),
    "alif-hp": Board("u55-256", "Ethos_U55_High_End_Embedded", "Shared_Sram", "alifsemi/sdk-alif: ethos_u55.rst"),
    "corstone300": Board("u55-128", "Ethos_U55_High_End_Embedded", "Shared_Sram", "CMSIS-Ethos-U: FVP setup"),
    "corstone300-u65": Board("u65-256", "Ethos_U65_Mid_End", "Dedicated_Sram_384KB", "CMSIS-Ethos-U: FVP setup"),
    "corstone320": Board("u85-256", "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB", "Vela's default for the U85"),
}
# A chip without a board: Vela's own defaults, which it warns about where they are not stated.
_DEFAULTS = {
    "u55": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "u65": ("Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    "u85": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
}
_CHIPS = tuple(f"{family}-{macs}" for family, sizes in _MACS.items() for macs in sizes)


class EthosU:
    """``ethosu:u65-256``, ``ethosu:imx93``."""

    name = "ethos-u-vela"
    targets = tuple(f"ethosu:{target}" for target in (*_CHIPS, *BOARDS))
    formats: tuple[Format, ...] = ("tflite",)
    license = None
    tool = Wanted("ethos-u-vela", program="vela")

    def probe(self) -> Probe:
        return self.tool.probe()

    def compile(self, job: Job) -> Product:
        tool = self.tool.require(job.what)
        options = _options(job.target)
        command = [str(tool.path), job.artifact.path, "--output-dir", str(job.folder), "--show-cpu-operations"]
        said = run_tool(job, [*command, *(part for option in options.items() for part in option)])
        return read_result(job, said, tool.version, options)


def _options(target: str) -> dict[str, str]:
    name = target.partition(":")[2]
    board = BOARDS.get(name)
    chip = board.chip if board else name
    system, memory = (board.system, board.memory) if board else _DEFAULTS[chip.partition("-")[0]]
    return {
        "--accelerator-config": f"ethos-{chip}",
        "--config": "Arm/vela.ini",
        "--system-config": system,
        "--memory-mode": memory,
    }


def read_result(job: Job, said: str, version: str, options: dict[str, str]) -> Product:
    """What Vela left in the folder of a job, with the figures of its summary.

    Raises:
        ConversionError: it left no model or no summary, or put no operator on the NPU.
    """
    models, summaries = (sorted(job.folder.glob(pattern)) for pattern in ("*_vela.tflite", "*_summary_*.csv"))
    mapped = _NPU_OPERATORS.search(said)
    if not models or not summaries or mapped is None:
        raise ConversionError(job.what, got="no model or no summary from vela", expected="both")
    if int(mapped["count"]) == 0:
        raise ConversionError(
            job.what, got="no operator on the NPU", expected="an int8 model with operators that Vela maps"
        )
    row = _summary(summaries[0])
    return Product(
        path=models[0],
        format="vela",
        version=version,
        options=options,
        mapped=int(mapped["count"]),
        on_cpu=dict(Counter(found["name"] for found in _CPU_OPERATOR.finditer(said))),
        on_chip_bytes=_bytes(row, "sram_memory_used", "on_chip_flash_memory_used"),
        off_chip_bytes=_bytes(row, "dram_memory_used", "off_chip_flash_memory_used"),
        estimated_ms=_figure(row, "inference_time") * 1e3,
    )


def _summary(path: Path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ConversionError(path.name, got="no row", expected="Vela's summary of the model")
    return rows[-1]


def _figure(row: dict[str, str], column: str) -> float:
    try:
        return float(row[column])
    except (KeyError, TypeError, ValueError) as error:
        raise ConversionError(
            "Vela's summary", got=f"{column} {row.get(column)!r}", expected="a number", fix="another version of Vela"
        ) from error


def _bytes(row: dict[str, str], *columns: str) -> int:
    """Vela states memory in KiB."""
    return round(sum(_figure(row, column) for column in columns) * _KIB)
