"""TensorFlow Lite for Microcontrollers on this machine: ``tflm``. A microcontroller runs the same, except for kernels
that are optimized for its processor. The speed here says nothing. Internal.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_micro.python.tflite_micro import runtime

from linnet_devices.api import DeviceError, Format, Model, OpenOptions, Placement, Probe
from linnet_devices.session import EngineSession

_PACKAGE = "tflite-micro"
_FIRST_ARENA, _MOST_ARENA = 1 << 20, 256 << 20  # bytes; how small it may be is not this device's business


class Tflm:
    """The device ``tflm``. A model that TFLM cannot read may end the process."""

    name = "tflm"
    formats: tuple[Format, ...] = ()  # a float model of Linnet's begins with a CAST, which TFLM lacks
    isolated = True
    targets: tuple[str, ...] = ("tflm",)

    def probe(self) -> Probe:
        return Probe(True, details={"engine": f"{_PACKAGE} {version(_PACKAGE)}"}, tier="simulator")

    def open(self, model: Model, options: OpenOptions) -> TflmSession:
        return TflmSession(self.name, model)


class TflmSession(EngineSession):
    """A .tflite in TFLM's interpreter."""

    def __init__(self, device: str, model: Model) -> None:
        data, operators = _read(model)
        self._interpreter = _load(model, data)
        self._input = tuple(self._interpreter.get_input_details(0)["shape"])
        self.placement = Placement(device, operators, operators)
        super().__init__(device, model)

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        if model_input.shape != self._input:  # the interpreter would end the process, or read beyond the picture
            raise DeviceError(
                f"{self.model.path} in {_PACKAGE}", got=list(model_input.shape), expected=list(self._input)
            )
        try:
            self._interpreter.set_input(model_input, 0)
            self._interpreter.invoke()
            return np.array(self._interpreter.get_output(0))
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"{self.device} running {self.model.path}", got=str(error)) from error

    def _release(self) -> None:
        del self._interpreter


def _read(model: Model) -> tuple[bytes, int]:
    """The file's bytes and the number of its operators. The interpreter itself checks nothing of the file."""
    try:
        data = Path(model.path).read_bytes()
        return data, len(runtime.convert_bytearray_to_object(data).subgraphs[0].operators)
    except Exception as error:  # on a damaged file the reader raises anything
        got = getattr(error, "strerror", None) or f"a damaged file: {error}"
        raise DeviceError(f"{model.path} in {_PACKAGE}", got=got, expected="a .tflite") from error


def _load(model: Model, data: bytes) -> Any:
    """An interpreter with an arena that is large enough."""
    arena = _FIRST_ARENA
    while True:
        try:
            return runtime.Interpreter.from_bytes(data, arena_size=arena)
        except (RuntimeError, ValueError) as error:
            if arena >= _MOST_ARENA:
                raise DeviceError(
                    f"{model.path} in {_PACKAGE}", got=str(error), expected="a .tflite of its operators"
                ) from error
            arena *= 4
