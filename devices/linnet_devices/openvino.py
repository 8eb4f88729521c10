"""OpenVINO on the CPU and on Intel's NPU and GPU. Internal."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset8
from openvino.frontend import (
    FrontEndManager,
    GeneralFailure,
    InitializationFailure,
    NotImplementedFailure,
    OpConversionFailure,
    OpValidationFailure,
)
from openvino.passes import ConstantFolding, Manager

from linnet_devices.api import DeviceError, DeviceUnavailable, Format, Model, OpenOptions, Placement, Probe
from linnet_devices.session import EngineSession, check_placement, thread_count

_CPU = "CPU"
_MOST_REASON = 300  # characters
_PROBED = 16  # channels of the convolution that shows whether sums of products saturate
# What OpenVINO raises for a model that it cannot read or compile; a damaged text is a UnicodeDecodeError, a ValueError.
_ERRORS = (
    RuntimeError,
    ValueError,
    GeneralFailure,
    InitializationFailure,
    NotImplementedFailure,
    OpConversionFailure,
    OpValidationFailure,
)
_NOT_COMPUTED = ("Const", "Input", "Output", "Constant", "Parameter", "Result")


@functools.cache
def the_core() -> openvino.Core:
    """One for the whole process; it is never freed.

    OpenVINO's CPU plug-in sets an alternate signal stack in the thread that loads it. Two cores that are freed in the
    wrong order, or in another thread, leave a freed stack in use, and the next ctrl-C is a segmentation fault.
    """
    return openvino.Core()


class OpenVino:
    """A device of OpenVINO, which calls it ``target``."""

    name: str
    target: str
    fix: str
    formats: tuple[Format, ...] = ("openvino",)
    isolated = True
    targets: tuple[str, ...] = ()

    def core(self) -> openvino.Core:
        """OpenVINO with its plug-ins; a simulated device registers its own."""
        return the_core()

    def probe(self) -> Probe:
        core = self.core()
        # It lists NPU for one, GPU.0 and GPU.1 for two. Only this list shows reliably that a device is missing: reading
        # the properties of a missing one raises whatever error its plug-in meets first.
        found = [device for device in core.available_devices if _is(self.target, device)]
        if not found:
            return Probe(False, f"OpenVINO finds {', '.join(core.available_devices)} and no {self.target}", self.fix)
        details = {"engine": f"openvino {openvino.__version__}"}
        if self.target != _CPU:
            details["hardware"] = str(core.get_property(found[0], "FULL_DEVICE_NAME"))
        return Probe(True, details=details)

    def open(self, model: Model, options: OpenOptions) -> OpenVinoSession:
        found = self.probe()
        if not found.available:
            raise DeviceUnavailable(f"device {self.name}", got=found.reason, fix=found.fix)
        return check_placement(OpenVinoSession(self, model, options), options)


class OpenVinoCpu(OpenVino):
    """The device ``cpu:openvino``."""

    name = "cpu:openvino"
    target = _CPU
    isolated = False
    fix = "pip install --force-reinstall openvino"


class OpenVinoNpu(OpenVino):
    """The device ``npu``: Intel Core Ultra's."""

    name = "npu"
    target = "NPU"
    fix = (
        "Linux 6.8 or newer with intel_vpu and /dev/accel/accel0, the user in the group render, and Intel's "
        "linux-npu-driver with Level Zero (libze_loader.so.1, libze_intel_npu.so.1)"
    )


class OpenVinoGpu(OpenVino):
    """The device ``gpu``: Intel's, built in or not."""

    name = "gpu"
    target = "GPU"
    fix = "sudo apt install intel-opencl-icd, and put the user into the group render"


class OpenVinoSession(EngineSession):
    """An IR that is compiled for one device, never for AUTO or HETERO, which would use the CPU silently."""

    def __init__(self, device: OpenVino, model: Model, options: OpenOptions) -> None:
        core = device.core()
        try:
            network = _read_ir(model)
            if network.is_dynamic():  # open dimensions; an NPU takes fixed shapes only
                network.reshape(list(model.input.shape))
            if device.target == _CPU and model.precision == "int8" and int8_saturates():
                fold_weights(network)
            compiled = core.compile_model(network, device.target, _properties(device.target, options))
        except _ERRORS as error:
            raise DeviceError(
                f"{model.path} in openvino", got=_reason(error), expected=f"an IR that {device.target} takes"
            ) from error
        dtype = compiled.inputs[0].element_type.to_dtype()
        if dtype != model.input.dtype:  # OpenVINO would convert silently, and clip values
            raise DeviceError(
                f"input of {model.path}", got=dtype, expected=f"{model.input.dtype}, as its TensorSpec says"
            )
        self.placement = _placement(device, compiled, network)
        super().__init__(device.name if self.placement.on_device else OpenVinoCpu.name, model)
        self._request = compiled.create_infer_request()
        self._output = compiled.outputs[0]

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        try:
            output: NDArray[Any] = self._request.infer(model_input, share_inputs=True)[self._output]
        except RuntimeError as error:
            raise DeviceError(f"{self.device} running {self.model.path}", got=_reason(error)) from error
        return output

    def _release(self) -> None:
        del self._request, self._output


def _read_ir(model: Model) -> Any:
    """The network of an IR. ``Core.read_model`` would offer a file that it cannot read to the readers of other formats,
    and TensorFlow's writes to standard error.
    """
    beside = str(Path(model.path).with_suffix(".bin"))
    if model.weights not in (None, beside):  # OpenVINO reads no other, so its hash would not be the one that is checked
        raise DeviceError(f"weights of {model.path}", got=model.weights, expected=beside)
    reader = FrontEndManager().load_by_framework("ir")
    return reader.convert(reader.load(model.path))


def _reason(error: Exception) -> str:
    """OpenVINO's text without the places in its source code."""
    lines = [line for line in str(error).splitlines() if not line.startswith(("Exception from ", "Check "))]
    return " ".join(lines)[:_MOST_REASON].strip() or type(error).__name__


def _properties(target: str, options: OpenOptions) -> dict[str, Any]:
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if target == _CPU:
        # On a CPU with bf16, the default computes a float32 model in bf16.
        return properties | {"INFERENCE_NUM_THREADS": thread_count(options), "INFERENCE_PRECISION_HINT": "f32"}
    # Compilation for an accelerator takes seconds, and its result is always the same.
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "linnet" / "openvino"
    return properties | {"CACHE_DIR": str(folder)}


def fold_weights(network: Any) -> None:
    """Makes weights the floats that their integers stand for, so that OpenVINO adds their products as floats, exactly.
    Activations stay rounded to integers.
    """
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(network)


@functools.cache
def int8_saturates() -> bool:
    """Whether OpenVINO's int8 kernels add products in 16 bits on this CPU, as on x86-64 without VNNI.

    Logits were off by up to 60 output steps there. It is measured, because OpenVINO selects the kernels.
    """
    pixels = opset8.parameter([1, _PROBED, 4, 4], np.float32)
    limits = (np.float32(0), np.float32(255))
    integers = opset8.fake_quantize(pixels, *limits, *limits, 256)
    weights = opset8.convert(opset8.constant(np.full((_PROBED, _PROBED, 1, 1), 127, np.int8)), "f32")
    scaled = opset8.multiply(weights, np.float32(1 / 127))
    sums = opset8.convolution(integers, scaled, [1, 1], [0, 0], [0, 0], [1, 1])
    properties = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = the_core().compile_model(openvino.Model([sums], [pixels]), _CPU, properties)
    found = compiled(np.full((1, _PROBED, 4, 4), 255, np.float32))[0]
    return not np.allclose(found, 255 * _PROBED, rtol=0.01)


def _placement(device: OpenVino, compiled: Any, network: Any) -> Placement:
    """Where the model runs, as EXECUTION_DEVICES reports. The operations are those of the runtime model, or those of
    the file where a plug-in reports none.
    """
    kinds = [op.get_rt_info()["layerType"].astype(str) for op in compiled.get_runtime_model().get_ops()]
    if all(kind in _NOT_COMPUTED for kind in kinds):
        kinds = [op.get_type_name() for op in network.get_ops()]
    computed = [kind for kind in kinds if kind not in _NOT_COMPUTED]
    used = [name.strip("()") for name in compiled.get_property("EXECUTION_DEVICES")]  # "(CPU)" is a fallback
    if all(_is(device.target, name) for name in used):
        return Placement(device.name, len(computed), len(computed))
    return Placement(device.name, 0, len(computed), tuple(f"{kind}: {'+'.join(used)}" for kind in computed))


def _is(target: str, name: str) -> bool:
    """Whether a name of OpenVINO is a device of that kind: GPU, or GPU.0 where there are two."""
    return name.partition(".")[0] == target
