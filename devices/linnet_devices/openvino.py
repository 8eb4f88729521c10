"""OpenVINO on the CPU."""

from __future__ import annotations

from typing import Any

import openvino
from numpy.typing import NDArray

from linnet_devices.api import Artifact, DeviceError, Format, OpenOptions, Placement, Probe
from linnet_devices.session import EngineSession, thread_count

_NOT_COMPUTED = ("Const", "Input", "Output")


class OpenVinoCpu:
    """The device ``cpu:openvino``."""

    name = "cpu:openvino"
    formats: tuple[Format, ...] = ("openvino",)

    def probe(self) -> Probe:
        return Probe(True, details={"engine": f"openvino {openvino.__version__}"})

    def open(self, artifact: Artifact, options: OpenOptions) -> OpenVinoSession:
        return OpenVinoSession(self.name, artifact, options)


class OpenVinoSession(EngineSession):
    """An IR compiled for the CPU."""

    def __init__(self, device: str, artifact: Artifact, options: OpenOptions) -> None:
        properties = {
            "INFERENCE_NUM_THREADS": thread_count(options),
            "PERFORMANCE_HINT": "LATENCY",
            # On a CPU with bf16 the default would compute a float32 model in bf16.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(artifact.path), "CPU", properties)
        except RuntimeError as error:
            raise DeviceError(f"{artifact.path} in openvino", got=str(error), expected="an IR that it reads") from error
        dtype = compiled.inputs[0].element_type.to_dtype()
        if dtype != artifact.input.dtype:  # OpenVINO would convert, and cut values off, without a word
            raise DeviceError(
                f"input of {artifact.path}", got=dtype, expected=f"{artifact.input.dtype}, as its entry says"
            )
        super().__init__(device, artifact)
        self._request = compiled.create_infer_request()
        self._output = compiled.outputs[0]
        kinds = [op.get_rt_info()["layerType"].astype(str) for op in compiled.get_runtime_model().get_ops()]
        operations = sum(kind not in _NOT_COMPUTED for kind in kinds)
        self.placement = Placement(device, operations, operations)

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        try:
            output: NDArray[Any] = self._request.infer(model_input, share_inputs=True)[self._output]
        except RuntimeError as error:
            raise DeviceError(f"{self.device} running {self.artifact.path}", got=str(error)) from error
        return output

    def _release(self) -> None:
        del self._request, self._output
