"""What a device is: a ``Device`` reports whether it is available and opens a model; a ``Session`` turns pixels into
logits.

Everything above this package, and every plug-in, uses an accelerator only through the types in this module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.errors import DeviceError, DeviceUnavailable, LinnetError, Setting

__all__ = [
    "Device",
    "DeviceError",
    "DeviceUnavailable",
    "LinnetError",
    "Logits",
    "Model",
    "OpenOptions",
    "Pixels",
    "Placement",
    "Probe",
    "Session",
    "Setting",
    "TensorSpec",
    "Tier",
]

Pixels = NDArray[np.uint8]
Logits = NDArray[np.float32]
Format = Literal["tflite", "onnx", "openvino"]
"""The formats that engines on a CPU read. A vendor's compiler makes others: ``Model.format``."""
Precision = Literal["int8", "float16", "float32"]
Tier = Literal["hardware", "simulator", "stand-in", "emulation", "none"]
"""What a model was run on when it was compared: the hardware, its vendor's simulator, a stand-in of Linnet's own that
loads as the hardware's library does, or the hardware's processor emulated. ``"none"``: it was not run."""
_SMALLEST, _LARGEST = 1e-30, 1e30  # of a scale, a mean or a standard deviation: computed in float32


class TensorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The one input or the one output of a model."""

    name: str
    shape: tuple[int, ...]
    """Without open dimensions. A file with open dimensions is opened at this shape. An output may have further axes of
    length 1: [1, classes, 1, 1]."""
    dtype: Literal["uint8", "int8", "float16", "float32"]
    layout: Literal["NHWC", "NCHW", "NC"]
    scale: float | None = None
    """That of the file: real = scale * (quantized - zero_point). None in float. An output that the file itself turns
    into float32 keeps the scale and the zero point of its steps."""
    zero_point: int | None = None
    color: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] | None = None
    """The model takes (pixel - mean) / std, with a value for each channel; without them it takes the pixels 0..255."""
    std: tuple[float, float, float] | None = None
    values: Literal["pixels", "logits", "probabilities", "independent_probabilities", "features"] = "pixels"
    """``"pixels"`` is an input. ``"features"`` is the last feature map, which gives no label by itself. Another output
    holds ``"probabilities"`` where the file ends in a softmax, and
    ``"independent_probabilities"`` where it ends in a sigmoid for each class."""

    @property
    def is_quantized(self) -> bool:
        """Whether the tensor holds steps of ``scale`` and not real numbers."""
        return self.scale is not None and not self._is_float

    @property
    def classes(self) -> int:
        """The number of values of an output."""
        return math.prod(self.shape)

    @property
    def is_independent(self) -> bool:
        """Whether each class of an output has a probability of its own, so that they need not add up to 1."""
        return self.values == "independent_probabilities"

    @property
    def _is_float(self) -> bool:
        return self.dtype in ("float16", "float32")

    def __post_init__(self) -> None:
        """Raises ValueError, to which a decoder adds the JSON path, where a number would be unused or meaningless."""
        for one, other in (("mean", "std"), ("scale", "zero_point")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one} and {other} come together or not at all")
        if self.mean is not None and self.scale is None and not self._is_float:
            raise ValueError(f"{self.dtype} with mean and std needs scale and zero_point")
        divisors = (*(self.std or ()), *(() if self.scale is None else (self.scale,)))
        if not all(_SMALLEST <= value <= _LARGEST for value in divisors):
            raise ValueError(f"scale and std are {_SMALLEST:g} to {_LARGEST:g}")
        if not all(abs(value) <= _LARGEST for value in self.mean or ()):
            raise ValueError(f"mean is at most {_LARGEST:g}")
        if self.zero_point is not None and not -128 <= self.zero_point <= 255:
            raise ValueError("zero_point is a value of int8 or uint8")


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model file, and what a device must know of it to open it."""

    path: str
    """The file's absolute path."""
    format: str
    """One of ``Format``, or of a model that was compiled for an accelerator the compiler's format."""
    precision: Precision
    input: TensorSpec
    output: TensorSpec
    weights: str | None = None
    """The absolute path of the file beside it that holds its weights: OpenVINO's ``.bin``."""
    compiled_for: str | None = None
    """The target that the model was compiled for: ``"edgetpu"``, ``"ethosu:u65-256"``. None for one that any device may
    read."""


@dataclass(frozen=True)
class Probe:
    """Whether a device is available on this machine."""

    available: bool
    reason: str = ""
    """Why it is not available; empty where it is."""
    fix: str = ""
    """What to do about it; empty where it is available."""
    details: dict[str, str] = field(default_factory=dict)
    """What was found, for people to read: the engine's version, the hardware's name."""
    tier: Tier = "hardware"
    """What runs the model. On a simulator a latency says nothing, and is not shown."""


@dataclass(frozen=True)
class Placement:
    """Which operations of the model run on the device."""

    device: str
    on_device: int
    """The number of operations that run on the device."""
    total: int
    """The number of operations of the model."""
    elsewhere: tuple[str, ...] = ()
    """Each of the others, as ``"OPERATION: where it runs"``."""
    conversions: tuple[str, ...] = ()
    """What runs elsewhere at the ends of the model and only moves or converts numbers, likewise. It is not counted."""

    @property
    def share(self) -> float:
        """The share of operations on the device, 0..1."""
        return self.on_device / self.total if self.total else 0.0


MOST_THREADS = 1024
"""More of them an engine may not be able to start."""


@dataclass(frozen=True)
class OpenOptions:
    """What a user may ask of a session."""

    threads: int | None = None
    """The threads of a CPU engine; None is one for each core, at most four. Accelerators ignore it."""
    allow_fallback: bool = False
    """Whether the CPU may run the model where the device executes none of it. Otherwise that is an error."""
    require_placement: float = 0.0
    """The least share of the operations, 0..1, that has to run on the device. Less is always an error."""

    def __post_init__(self) -> None:
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            expected = f"1 to {MOST_THREADS}"
            raise LinnetError(Setting("threads"), got=self.threads, expected=expected, fix=Setting("threads", 1))
        if not 0 <= self.require_placement <= 1:
            raise LinnetError(Setting("require_placement"), got=self.require_placement, expected="a share of 0 to 1")


class Session(Protocol):
    """A model that is loaded on a device. Not for two threads at once."""

    @property
    def device(self) -> str:
        """The device that runs the model, as every result reports it: ``"cpu:litert"``."""

    @property
    def model(self) -> Model:
        """The model that was opened."""

    @property
    def placement(self) -> Placement:
        """Which operations run where. It comes from the engine and is never assumed."""

    def run(self, pixels: Pixels) -> Logits:
        """uint8 RGB [N, H, W, 3] to float32 logits [N, classes].

        Raises:
            LinnetError: another shape or dtype.
            DeviceError: the device fails, or the session is closed.
        """

    def close(self) -> None:
        """Releases the device. Closing twice does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Device(Protocol):
    """A kind of hardware, or an engine on the CPU."""

    @property
    def name(self) -> str:
        """Its name in the registry: ``"cpu:litert"``."""

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats of models that it reads although they were compiled for no accelerator, best first."""

    @property
    def isolated(self) -> bool:
        """Whether it belongs in a separate process, because its library may hang or end the process. True for an
        accelerator, False for an engine on the CPU.
        """

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets of compilers whose models it reads, best first: ``("edgetpu",)``. It prefers them to others."""

    def probe(self) -> Probe:
        """Checks the library, the hardware and the permission. Never raises and loads no model."""

    def open(self, model: Model, options: OpenOptions) -> Session:
        """Loads a model.

        Raises:
            DeviceUnavailable: the device is not available.
            DeviceError: it cannot read the model.
        """
