"""ONNX Runtime on the CPU, and its execution providers by name: ``ort:QNN``. Internal."""

from __future__ import annotations

from typing import Any

import onnxruntime
from numpy.typing import NDArray

from linnet_devices.api import DeviceError, DeviceUnavailable, Format, Model, OpenOptions, Placement, Probe, Setting
from linnet_devices.device_options import parse_options
from linnet_devices.ort_plugins import PLUGINS
from linnet_devices.session import EngineSession, check_placement, thread_count

_CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"
_BUILT_IN = tuple(onnxruntime.get_available_providers())  # before a plug-in's library was loaded, which adds its own
_ERRORS_ONLY = 3  # its warnings about optimizations do not concern a user
# The package with each provider, which replaces onnxruntime.
_PACKAGES = {
    "CUDA": "onnxruntime-gpu",
    "Dml": "onnxruntime-directml",
}
# What only moves numbers or stores them in another form. A provider may leave it to the CPU at the ends of a model.
_CONVERSIONS = {"QuantizeLinear", "DequantizeLinear", "Cast", "Flatten", "Reshape", "Transpose"}


class OnnxRuntimeCpu:
    """The device ``cpu:onnx``."""

    name = "cpu:onnx"
    formats: tuple[Format, ...] = ("onnx",)
    isolated = False
    targets: tuple[str, ...] = ()

    def probe(self) -> Probe:
        return Probe(True, details={"engine": f"onnxruntime {onnxruntime.__version__}"})

    def open(self, model: Model, options: OpenOptions) -> OnnxSession:
        settings = _session_options(thread_count(options))
        return OnnxSession(self.name, model, settings, _CPU, providers=[(_CPU, {})])


class OnnxRuntimeProvider:
    """The device ``ort:NAME``, or ``ort:NAME?option=value``: an execution provider, with its own options. It must run
    the whole model, unless a fallback is allowed.
    """

    formats: tuple[Format, ...] = ("onnx",)
    isolated = True

    def __init__(self, name: str) -> None:
        self.name = name
        target, _, query = name.partition(":")[2].partition("?")
        known = {provider.removesuffix(_SUFFIX): provider for provider in onnxruntime.get_all_providers()}
        if target not in known and target not in PLUGINS:
            raise DeviceError(
                Setting("device"),
                got=repr(name),
                expected=f"one of {', '.join(sorted({*known, *PLUGINS}))} after ort:",
            )
        self._short, self._provider = target, known.get(target, f"{target}{_SUFFIX}")
        self._options = parse_options(query, name)
        self._plugin = PLUGINS.get(target) if self._provider not in _BUILT_IN else None
        self.targets = self._plugin.targets if self._plugin else ()
        if "htp_arch" in self._options:  # what was compiled for another generation is not for this one
            self.targets = tuple(one for one in self.targets if one == f"qnn:v{self._options['htp_arch']}")

    def probe(self) -> Probe:
        if self._plugin:
            return self._plugin.probe()
        if self._provider not in _BUILT_IN:
            package = _PACKAGES.get(self._short)
            return Probe(
                False,
                f"the installed onnxruntime has {', '.join(provider.removesuffix(_SUFFIX) for provider in _BUILT_IN)}",
                f"pip uninstall onnxruntime, then pip install {package}"
                if package
                else f"build onnxruntime with {self._short}",
            )
        return Probe(True, details={"engine": f"onnxruntime {onnxruntime.__version__}", "provider": self._provider})

    def open(self, model: Model, options: OpenOptions) -> OnnxSession:
        found = self.probe()
        if not found.available:  # onnxruntime would use the CPU
            raise DeviceUnavailable(f"device {self.name}", got=found.reason, fix=found.fix)
        settings = _session_options(thread_count(options))
        if self._plugin:
            self._plugin.add_to(settings, self._options, model.compiled_for)
            session = OnnxSession(self.name, model, settings, self._provider, providers=None)
        else:
            chosen = [(self._provider, self._options)]
            session = OnnxSession(self.name, model, settings, self._provider, providers=chosen)
        return check_placement(session, options, whole=True)


class OnnxSession(EngineSession):
    """An .onnx in an inference session."""

    def __init__(
        self,
        device: str,
        model: Model,
        settings: onnxruntime.SessionOptions,
        provider: str,
        *,
        providers: list[tuple[str, dict[str, str]]] | None,
    ) -> None:
        """``providers``: None where ``settings`` have the provider."""
        try:
            # A run that fails must not continue on another provider, and a fallback prints to standard output.
            self._session = onnxruntime.InferenceSession(model.path, settings, providers=providers, enable_fallback=0)
        except Exception as error:  # onnxruntime's errors share no base class below Exception
            expected = f"a model that was compiled for {device}" if model.compiled_for else "an .onnx it reads"
            raise DeviceError(f"{model.path} in onnxruntime", got=str(error), expected=expected) from error
        self.placement = _placement(device, self._session.get_provider_graph_assignment_info(), provider)
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


def _placement(device: str, assigned: list[Any], provider: str) -> Placement:
    """From onnxruntime's own assignment. Where the provider has one piece of the graph, what moves or converts numbers
    before and behind it is at the model's ends, and counts as a conversion.
    """
    pieces = [(piece.ep_name, [node.op_type for node in piece.get_nodes()]) for piece in assigned]
    whole = sum(used == provider for used, _ in pieces) == 1 and provider != _CPU
    taken = sum(len(kinds) for used, kinds in pieces if used == provider)
    others = [(kind, used) for used, kinds in pieces if used != provider for kind in kinds]
    ends = [(kind, used) for kind, used in others if whole and kind in _CONVERSIONS]
    elsewhere = [(kind, used) for kind, used in others if (kind, used) not in ends]
    named = [tuple(f"{kind}: {used}" for kind, used in rows) for rows in (elsewhere, ends)]
    return Placement(device, taken, taken + len(elsewhere), elsewhere=named[0], conversions=named[1])


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
