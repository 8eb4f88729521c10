"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

import onnxruntime
from numpy.typing import NDArray

from linnet_devices.api import Artifact, DeviceError, Format, OpenOptions, Placement, Probe
from linnet_devices.session import EngineSession, thread_count

_PROVIDER = "CPUExecutionProvider"
_ERRORS_ONLY = 3  # a warning per unsupported optimisation is noise to a user


class OnnxRuntimeCpu:
    """The device ``cpu:onnx``."""

    name = "cpu:onnx"
    formats: tuple[Format, ...] = ("onnx",)

    def probe(self) -> Probe:
        return Probe(True, details={"engine": f"onnxruntime {onnxruntime.__version__}"})

    def open(self, artifact: Artifact, options: OpenOptions) -> OnnxSession:
        return OnnxSession(self.name, artifact, options)


class OnnxSession(EngineSession):
    """An .onnx in an inference session."""

    def __init__(self, device: str, artifact: Artifact, options: OpenOptions) -> None:
        try:
            self._session = onnxruntime.InferenceSession(
                artifact.path, _session_options(thread_count(options)), providers=[_PROVIDER]
            )
        except Exception as error:  # onnxruntime's errors share no base class below Exception
            raise DeviceError(
                f"{artifact.path} in onnxruntime", got=str(error), expected="an .onnx it reads"
            ) from error
        super().__init__(device, artifact)
        self._input_name = self._session.get_inputs()[0].name
        nodes = [
            (node.op_type, subgraph.ep_name)
            for subgraph in self._session.get_provider_graph_assignment_info()
            for node in subgraph.get_nodes()
        ]
        elsewhere = tuple(f"{op}: {provider}" for op, provider in nodes if provider != _PROVIDER)
        self.placement = Placement(device, len(nodes) - len(elsewhere), len(nodes), elsewhere)

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, {self._input_name: model_input})
        except Exception as error:
            raise DeviceError(f"{self.device} running {self.artifact.path}", got=str(error)) from error
        return outputs[0]

    def _release(self) -> None:
        del self._session


def _session_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads would keep a core busy between two frames of a camera.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.log_severity_level = _ERRORS_ONLY
    return options
