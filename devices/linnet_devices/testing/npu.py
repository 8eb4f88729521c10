"""A stand-in for Intel's NPU: OpenVINO's CPU plug-in under another name. What it computes is simulated; what OpenVINO
reports about it is real.

docs/fault-kit.md shows the plug-in that registers it as a device.
"""

from __future__ import annotations

import functools

import openvino

from linnet_devices.openvino import OpenVinoNpu


class SimulatedNpu(OpenVinoNpu):
    """The device ``simulated-npu``. OpenVINO takes a second name for its CPU plug-in only where it ends in "CPU"."""

    name = "simulated-npu"
    target = "NPUCPU"

    def core(self) -> openvino.Core:
        return _core()


@functools.cache
def _core() -> openvino.Core:
    core = openvino.Core()
    core.register_plugin("openvino_intel_cpu_plugin", SimulatedNpu.target)
    core.set_property(SimulatedNpu.target, {"INFERENCE_PRECISION_HINT": "f32"})  # on any CPU, with and without bf16
    return core
