"""Microcontrollers: TensorFlow Lite for Microcontrollers (TFLM) runs a bundle's int8 .tflite as it is.

The arena, the memory that the interpreter needs, is measured with TFLM's own interpreter on this machine. The model is
written as a C array, with a header of labels and preprocessing constants, and an example that classifies.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from linnet_convert.compilers import vendor
from linnet_convert.compilers.api import Job, Product
from linnet_convert.compilers.c_source import write_sources
from linnet_convert.compilers.process import read_result, run_tool
from linnet_convert.compilers.tools import Wanted
from linnet_devices.api import Format, Probe

_SCRIPT = Path(vendor.__file__).with_name("tflm_arena.py")
_MOST_ARENA_BYTES = 64 << 20


class Tflm:
    """``tflm``."""

    name = "tflite-micro"
    targets = ("tflm",)
    formats: tuple[Format, ...] = ("tflite",)
    license = None
    tool = Wanted("tflite-micro", module="tflite_micro", options="--pre ")

    def probe(self) -> Probe:
        return self.tool.probe()

    def compile(self, job: Job) -> Product:
        tool = self.tool.require(job.what)
        command = [str(tool.path), "-P", str(_SCRIPT), job.artifact.path, str(_MOST_ARENA_BYTES)]
        found = read_result(job, run_tool(job, command))
        arena_bytes, operators = int(found["arena_bytes"]), dict(found["operators"])
        model = Path(shutil.copy(job.artifact.path, job.folder / "model.tflite"))
        return Product(
            path=model,
            format="tflm",
            version=tool.version,
            options={},
            on_chip_bytes=arena_bytes,
            beside=write_sources(job, model.read_bytes(), arena_bytes, sorted(operators)),
        )
