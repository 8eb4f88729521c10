"""ONNX Runtime on the CPU, and its execution providers by name: ``ort:QNN``. Internal."""

from __future__ import annotations

from typing import Any

import onnxruntime
from numpy.typing import NDArray

from linnet_devices.api import DeviceError, DeviceUnavailable, Format, Model, OpenOptions, Placement, Probe, Setting
from linnet_devices.session import EngineSession, check_placement, thread_count

_CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"
_ERRORS_ONLY = 3  # its warnings about optimizations do not concern a user
# The package with each provider, which replaces onnxruntime.
_PACKAGES = {
    "CUDA": "onnxruntime-gpu",
    "Dml": "onnxruntime-directml",
    "OpenVINO": "onnxruntime-openvino",
    "QNN": "onnxruntime-qnn",
}


class OnnxRuntimeCpu:
    """The device ``cpu:onnx``."""

    name = "cpu:onnx"
    formats: tuple[Format, ...] = ("onnx",)
    isolated = False
    targets: tuple[str, ...] = ()

    def probe(self) -> Probe:
        return Probe(True, details={"engine": f"onnxruntime {onnxruntime.__version__}"})

    def open(self, model: Model, options: OpenOptions) -> OnnxSession:
        return OnnxSession(self.name, model, options)


class OnnxRuntimeProvider:
    """The device ``ort:NAME``: an execution provider. It must run the whole model, unless a fallback is allowed."""

    formats: tuple[Format, ...] = ("onnx",)
    isolated = True
    targets: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name
        wanted = name.partition(":")[2]
        known = {provider.removesuffix(_SUFFIX): provider for provider in onnxruntime.get_all_providers()}
        if wanted not in known:
            raise DeviceError(
                Setting("device"), got=repr(name), expected=f"one of {', '.join(sorted(known))} after ort:"
            )
        self._short, self._provider = wanted, known[wanted]

    def probe(self) -> Probe:
        here = onnxruntime.get_available_providers()
        if self._provider not in here:
            package = _PACKAGES.get(self._short)
            return Probe(
                False,
                f"the installed onnxruntime has {', '.join(provider.removesuffix(_SUFFIX) for provider in here)}",
                f"pip uninstall onnxruntime, then pip install {package}"
                if package
                else f"build onnxruntime with {self._short}",
            )
        return Probe(True, details={"engine": f"onnxruntime {onnxruntime.__version__}", "provider": self._provider})

    def open(self, model: Model, options: OpenOptions) -> OnnxSession:
        found = self.probe()
        if not found.available:  # onnxruntime would use the CPU
            raise DeviceUnavailable(f"device {self.name}", got=found.reason, fix=found.fix)
        return check_placement(OnnxSession(self.name, model, options, self._provider), options, whole=True)


class OnnxSession(EngineSession):
    """An .onnx in an inference session."""

    def __init__(self, device: str, model: Model, options: OpenOptions, provider: str = _CPU) -> None:
        try:
            # A run that fails must not continue on another provider, and a fallback prints to standard output.
            self._session = onnxruntime.InferenceSession(
                model.path, _session_options(thread_count(options)), providers=[provider], enable_fallback=0
            )
        except Exception as error:  # onnxruntime's errors share no base class below Exception
            raise DeviceError(f"{model.path} in onnxruntime", got=str(error), expected="an .onnx it reads") from error
        nodes = [
            (node.op_type, subgraph.ep_name)
            for subgraph in self._session.get_provider_graph_assignment_info()
            for node in subgraph.get_nodes()
        ]
        elsewhere = tuple(f"{op}: {used}" for op, used in nodes if used != provider)
        self.placement = Placement(device, len(nodes) - len(elsewhere), len(nodes), elsewhere)
        super().__init__(device if self.placement.on_device else OnnxRuntimeCpu.name, model)
        self._input_name = self._session.get_inputs()[0].name

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, {self._input_name: model_input})
        except Exception as error:
            raise DeviceError(f"{self.device} running {self.model.path}", got=str(error)) from error
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
    # On x86-64 with AVX2 and without VNNI, its kernels for uint8 activations and int8 weights add products in 16 bits,
    # which saturate: logits were off by 11 output steps. This selects exact kernels there and has no effect elsewhere.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.log_severity_level = _ERRORS_ONLY
    return options
