"""The part of a session that is the same on every engine: pixels to the model's input, its output to logits."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections import Counter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import (
    DeviceError,
    LinnetError,
    Logits,
    Model,
    OpenOptions,
    Pixels,
    Placement,
    Session,
    Setting,
    TensorSpec,
)
from linnet_devices.closable import Closable

_DTYPES: dict[str, type[np.generic]] = {
    "uint8": np.uint8,
    "int8": np.int8,
    "float16": np.float16,
    "float32": np.float32,
}
_MOST_THREADS = 4  # more do not speed up a small network, and slow down a busy machine
_LARGEST_OUTPUT = 1e30  # the softmax of a larger one over a small temperature would overflow float32
_SMALLEST_PROBABILITY = 1e-7  # a probability of 0 has no finite logit
_MOST_NAMED = 5

AnySession = TypeVar("AnySession", bound=Session)


class EngineSession(Closable):
    """A session whose engine takes one array and returns one array; see ``linnet_devices.api.Session``.

    An engine implements ``_infer`` and ``_release`` and sets ``placement``.
    """

    placement: Placement

    def __init__(self, device: str, model: Model) -> None:
        self.device = device
        self.model = model
        self._to_input = InputAdapter(model.input)
        self._to_logits = OutputAdapter(model.output)
        self._opened()

    @abstractmethod
    def _infer(self, model_input: NDArray[Any]) -> NDArray[Any]:
        """The model's input tensor, batch 1, to its output tensor. Raises DeviceError."""

    @abstractmethod
    def _release(self) -> None:
        """Releases what the engine holds."""

    def run(self, pixels: Pixels) -> Logits:
        """uint8 RGB [N, H, W, 3] to float32 logits [N, classes]; see ``linnet_devices.api.Session.run``."""
        if not self._open:
            raise DeviceError(f"session on {self.device}", got="run() after close()", expected="an open session")
        self._to_input.check(pixels)
        if len(pixels) == 1:
            return self._to_logits(self._infer(self._to_input(pixels)))
        rows = [self._to_logits(self._infer(self._to_input(pixels[i : i + 1]))) for i in range(len(pixels))]
        return np.concatenate(rows)

    def _described(self) -> str:
        return f"session on {self.device}"


class InputAdapter:
    """Pixels in Linnet's one signature (uint8 RGB NHWC) to the input of any model.

    A pixel has 256 values, so one table per channel does the normalization and the quantization. There is no table
    where the quantized value is the pixel.
    """

    def __init__(self, spec: TensorSpec) -> None:
        self.spec = spec
        height, width = spec.shape[1:3] if spec.layout == "NHWC" else spec.shape[2:4]
        self.shape = (height, width, 3)
        table = _input_table(spec)
        identity = np.arange(256)[:, None]
        self._table = None if table.dtype == np.uint8 and bool((table == identity).all()) else table

    def check(self, pixels: Pixels) -> None:
        """Raises LinnetError unless ``pixels`` is uint8 [N, H, W, 3] of the model's size."""
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != self.shape or not len(pixels):
            height, width, _ = self.shape
            raise LinnetError(
                "pixels",
                got=f"{pixels.dtype} {list(pixels.shape)}",
                expected=f"uint8 [N, {height}, {width}, 3]",
                fix="linnet_runtime.preprocess makes them from any picture",
            )

    def __call__(self, pixels: Pixels) -> NDArray[Any]:
        """uint8 [1, H, W, 3] RGB to the model's input tensor."""
        values: NDArray[Any] = pixels if self.spec.color == "rgb" else pixels[..., ::-1]
        if self._table is not None:
            values = self._table[values, np.arange(3)]
        if self.spec.layout == "NCHW":
            values = values.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(values)


def _input_table(spec: TensorSpec) -> NDArray[Any]:
    """[256, 3] of the model's dtype: the model's value for each pixel value, per channel in the model's order."""
    values: NDArray[Any] = np.repeat(np.arange(256, dtype=np.float64)[:, None], 3, axis=1)
    dtype = _DTYPES[spec.dtype]
    if spec.mean is not None and spec.std is not None:
        values = (values - np.array(spec.mean)) / np.array(spec.std)
        if spec.scale is not None and spec.zero_point is not None:
            values = np.rint(values / spec.scale) + spec.zero_point
    elif spec.dtype == "int8":
        values -= 128  # the same pixel in the signed form
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)  # type: ignore[type-var]
        values = np.clip(values, limits.min, limits.max)
    return values.astype(dtype)


class OutputAdapter:
    """A model's output tensor to float32 logits [1, classes].

    A quantized value has 256 values, so one table has the logit of each: between two inferences a table is looked up in
    a third of the time that the arithmetic takes.

    Raises DeviceError where the tensor differs from its TensorSpec, because its numbers would be misread, and where a
    number is not finite.
    """

    def __init__(self, spec: TensorSpec) -> None:
        self.spec = spec
        self._shape, self._dtype = spec.shape, np.dtype(spec.dtype)
        self._table = _output_table(spec) if spec.is_quantized else None

    def __call__(self, raw: NDArray[Any]) -> Logits:
        if raw.shape != self._shape or raw.dtype != self._dtype:
            raise DeviceError(
                f"output {self.spec.name} of the model",
                got=f"{raw.dtype} {list(raw.shape)}",
                expected=f"{self.spec.dtype} {list(self.spec.shape)}, as its TensorSpec says",
            )
        if self._table is not None:
            return self._table.take(raw.reshape(1, -1))
        values = raw.reshape(1, -1).astype(np.float32)
        if not (np.abs(values) <= _LARGEST_OUTPUT).all():  # which is False for NaN
            got = f"numbers that are not finite, or beyond {_LARGEST_OUTPUT:g}"
            raise DeviceError(f"output {self.spec.name} of the model", got=got)
        return _logits(values, self.spec)


def _output_table(spec: TensorSpec) -> NDArray[np.float32]:
    """float32 [256]: the logit of each quantized value. A negative value is the index of its place from the end."""
    values = np.arange(256, dtype=np.uint8).astype(spec.dtype).astype(np.float32)
    return _logits((values - np.float32(spec.zero_point)) * np.float32(spec.scale), spec)


def _logits(values: NDArray[np.float32], spec: TensorSpec) -> NDArray[np.float32]:
    """The logits of a model's float outputs, of the same shape."""
    if spec.values == "probabilities":
        return np.log(np.maximum(values, np.float32(_SMALLEST_PROBABILITY)))
    if spec.is_independent:
        values = np.clip(values, np.float32(_SMALLEST_PROBABILITY), np.float32(1 - _SMALLEST_PROBABILITY))
        return np.log(values) - np.log1p(-values)  # what a sigmoid turns into the probability
    return values


def thread_count(options: OpenOptions) -> int:
    """The threads of a CPU engine: as many as the options say, or one for each usable core, at most four."""
    if options.threads is not None:
        return options.threads
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS and Windows
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1)


def check_placement(session: AnySession, options: OpenOptions, *, whole: bool = False) -> AnySession:
    """Returns the session, or closes it and raises DeviceError where less of the model runs on the device than
    ``options`` require.

    ``whole``: everything has to run there, unless ``options`` allow a fallback.
    """
    placement, least = session.placement, options.require_placement
    if not options.allow_fallback and (whole or not placement.on_device):
        passed, expected = placement.share == 1, "all of them" if whole else "some of them"
        setting = Setting("allow_fallback", True)
    else:
        passed, expected = placement.share >= least, f"at least {least:.1%}"
        setting = Setting("require_placement", math.floor(placement.share * 100) / 100)
    if passed:
        return session
    session.close()
    kinds = Counter(placement.elsewhere).most_common()
    named = ", ".join(f"{n} {kind}" for kind, n in kinds[:_MOST_NAMED]) + (", ..." if len(kinds) > _MOST_NAMED else "")
    raise DeviceError(
        f"{session.model.path} on {placement.device}",
        got=f"{placement.on_device} of {placement.total} operations on it" + (f" ({named})" if named else ""),
        expected=expected,
        fix=("a model that the device takes", setting),
    )
