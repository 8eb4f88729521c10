"""A simulated device for tests and rehearsals. It reads no model file. Internal."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Format, Model, OpenOptions, Placement, Probe
from linnet_devices.session import EngineSession, OutputAdapter


class Fake:
    """The device ``fake``: its logits depend on the pixels alone, so that a test can distinguish two pictures."""

    name = "fake"
    formats: tuple[Format, ...] = ("tflite", "onnx", "openvino")
    isolated = False
    targets: tuple[str, ...] = ()

    def probe(self) -> Probe:
        return Probe(True, details={"engine": "simulated"}, tier="stand-in")

    def open(self, model: Model, options: OpenOptions) -> FakeSession:
        return FakeSession(self.name, model)


class FakeSession(EngineSession):
    """The input has a vertical strip for each class; the output of a class is the mean of its strip."""

    def __init__(self, device: str, model: Model) -> None:
        super().__init__(device, model)
        self._classes = model.output.classes
        # Means are floats, whatever the output of the file is.
        self._to_logits = OutputAdapter(
            msgspec.structs.replace(model.output, dtype="float32", shape=(1, self._classes))
        )
        self.placement = Placement(device, 1, 1)

    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        width_axis = 2 if self.model.input.layout == "NHWC" else 3
        strips = np.array_split(model_input, self._classes, axis=width_axis)
        return np.array([[strip.mean() if strip.size else 0.0 for strip in strips]], dtype=np.float32)

    def _release(self) -> None:
        pass
