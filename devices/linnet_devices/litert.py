"""TensorFlow Lite on the CPU: ai-edge-litert, or tflite-runtime where only that can be had (old Coral boards)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Artifact, DeviceError, Format, OpenOptions, Placement, Probe
from linnet_devices.chatter import no_chatter
from linnet_devices.session import EngineSession, thread_count

try:
    from ai_edge_litert.interpreter import Interpreter

    PACKAGE = "ai-edge-litert"
except ModuleNotFoundError as error:
    try:
        from tflite_runtime.interpreter import Interpreter
    except ModuleNotFoundError:
        raise error from None  # the line then names what its fix installs

    PACKAGE = "tflite-runtime"


class LiteRT:
    """The device ``cpu:litert``."""

    name = "cpu:litert"
    formats: tuple[Format, ...] = ("tflite",)

    def probe(self) -> Probe:
        from importlib.metadata import version

        found = version(PACKAGE)
        if PACKAGE == "tflite-runtime" and int(np.__version__.split(".")[0]) >= 2:
            return Probe(
                False,
                f"tflite-runtime {found} was built for NumPy 1 and fails under NumPy {np.__version__}",
                "pip install 'linnet[litert]', or 'numpy<2' where tflite-runtime must stay",
            )
        return Probe(True, details={"engine": f"{PACKAGE} {found}"})

    def open(self, artifact: Artifact, options: OpenOptions) -> LiteRTSession:
        return LiteRTSession(self.name, artifact, options)


class LiteRTSession(EngineSession):
    """A .tflite in an interpreter."""

    def __init__(self, device: str, artifact: Artifact, options: OpenOptions) -> None:
        self._interpreter = _interpreter(artifact, num_threads=thread_count(options))
        super().__init__(device, artifact)
        self._input_index = self._interpreter.get_input_details()[0]["index"]
        self._output_index = self._interpreter.get_output_details()[0]["index"]
        # Delegated operations stay in this list, and the delegate (XNNPACK, on the CPU too) joins it as one more.
        operations = sum(op["op_name"] != "DELEGATE" for op in self._interpreter._get_ops_details())
        self.placement = Placement(device, operations, operations)

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        try:
            self._interpreter.set_tensor(self._input_index, model_input)
            self._interpreter.invoke()
            output: NDArray[Any] = self._interpreter.get_tensor(self._output_index)
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"{self.device} running {self.artifact.path}", got=str(error)) from error
        return output

    def _release(self) -> None:
        del self._interpreter


def _interpreter(artifact: Artifact, **options: Any) -> Any:
    """Raises DeviceError where the file is not a model that this interpreter reads."""
    try:
        with no_chatter():
            interpreter = Interpreter(model_path=artifact.path, **options)
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise DeviceError(
            f"{artifact.path} in {PACKAGE}", got=str(error), expected="a .tflite that it reads"
        ) from error
    return interpreter
