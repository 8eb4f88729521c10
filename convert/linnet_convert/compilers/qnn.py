"""Qualcomm's HTP (Hexagon): ONNX Runtime's QNN provider makes a context binary for one generation of the chip.

The binary is embedded in an .onnx, which ``ort:QNN`` opens. QNN rounds differently from ONNX Runtime on a CPU, so
the parity has to be measured. On x86-64 the package's library simulates the HTP.
"""

from __future__ import annotations

from pathlib import Path

from linnet_convert.compilers import vendor
from linnet_convert.compilers.api import Job, Product
from linnet_convert.compilers.process import read_result, run_tool
from linnet_convert.compilers.tools import Wanted
from linnet_convert.errors import ConversionError
from linnet_devices.api import Format, Probe

_SCRIPT = Path(vendor.__file__).with_name("qnn_context.py")
_ARCHITECTURES = ("68", "69", "73", "75", "79", "81")  # of the HTP; the provider itself accepts any text


class Qnn:
    """``qnn:v73``."""

    name = "onnxruntime-qnn"
    targets = tuple(f"qnn:v{architecture}" for architecture in _ARCHITECTURES)
    formats: tuple[Format, ...] = ("onnx",)
    license = "Qualcomm's libraries in the package have a license of their own, onnxruntime_qnn/Qualcomm_LICENSE.pdf"
    tool = Wanted("onnxruntime-qnn", module="onnxruntime_qnn", beside="onnxruntime ")

    def probe(self) -> Probe:
        return self.tool.probe()

    def compile(self, job: Job) -> Product:
        tool = self.tool.require(job.what)
        architecture, out = job.target.partition(":v")[2], job.folder / "context.onnx"
        command = [str(tool.path), "-P", str(_SCRIPT), job.artifact.path, architecture, str(out)]
        found = read_result(job, run_tool(job, command))
        mapped, on_cpu = int(found.get("mapped", 0)), dict(found.get("on_cpu", {}))
        if mapped == 0:
            raise ConversionError(job.what, got="no operator on the HTP", expected="an int8 model that QNN takes")
        return Product(
            path=out,
            format="qnn-context",
            version=tool.version,
            options={"htp_arch": architecture, "ep.context_embed_mode": "1"},
            mapped=mapped,
            on_cpu=on_cpu,
            requires={"qairt": str(found["sdk"])} if found.get("sdk") else {},
        )
