"""The end of a network, global average pooling and one dense layer, computed here from the last feature map.

The network's int8 model rounds the pooled features and the logits to steps; the head rounds them to the same ones.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, Model, TensorSpec
from linnet_runtime.bundle import Bundle, BundleError
from linnet_runtime.bundle_files import check_file
from linnet_runtime.files.npz import NpzError, numbers, read_npz

HEAD = "head.npz"
Floats = NDArray[np.float32]
_NUMBERS_PER_STEPS = 2
_HEADER_BYTES = 1024  # at most, for each array
_ARRAYS = 4


@dataclass(frozen=True)
class Steps:
    """The uint8 steps of a quantized tensor: real = scale * (quantized - zero_point)."""

    scale: float
    """A step, above 0."""
    zero_point: int
    """The step that stands for 0, within 0 to 255."""

    def rounded(self, values: Floats) -> Floats:
        """The nearest values that have a step: float32 of any shape to the same shape."""
        steps = np.clip(np.rint(values / np.float32(self.scale)) + self.zero_point, 0, 255)
        return ((steps - self.zero_point) * np.float32(self.scale)).astype(np.float32)


@dataclass(frozen=True)
class Head:
    """A dense layer over the mean of a feature map."""

    weights: Floats
    """float32 [channels, classes]."""
    bias: Floats
    """float32 [classes]."""
    pooled: Steps | None = None
    """The steps of the pooled features in the int8 model; None where they are not rounded."""
    logits: Steps | None = None
    """The steps of its logits; None where they are not rounded."""

    def feature_vectors(self, maps: Floats) -> Floats:
        """Feature maps float32 [N, h, w, channels] to their means over the places: float32 [N, channels]."""
        return maps.mean(axis=(1, 2), dtype=np.float32)

    def logits_of(self, vectors: Floats) -> Logits:
        """Feature vectors float32 [N, channels] to logits float32 [N, classes], in the steps of the int8 model."""
        if self.pooled is not None:
            vectors = self.pooled.rounded(vectors)
        logits = vectors @ self.weights + self.bias
        return logits if self.logits is None else self.logits.rounded(logits)

    def activation_maps(self, maps: Floats) -> Floats:
        """The class activation maps (Zhou et al., "Learning deep features for discriminative localization", 2016).

        Args:
            maps: float32 [N, h, w, channels].

        Returns:
            float32 [N, classes, h, w]: what each place adds to each logit. The mean over the places plus the bias is
            the logit, before it is rounded.
        """
        return np.ascontiguousarray((maps @ self.weights).transpose(0, 3, 1, 2))


def is_of_features(model: Model) -> bool:
    """Whether a session of the model gives feature maps in place of logits."""
    return model.output.values == "features"


def maps_of(values: NDArray[np.float32], model: Model) -> Floats:
    """What a session gave, float32 [N, h * w * channels], as feature maps [N, h, w, channels]."""
    return values.reshape(-1, *model.output.shape[1:])


def logits_from(values: NDArray[np.float32], model: Model, head: Head | None) -> Logits:
    """The logits float32 [N, classes] from the outputs of a session: these themselves, or what the head computes."""
    if not is_of_features(model):
        return values
    if head is None:
        raise ValueError(f"{model.path} gives feature maps, and there is no head")
    return head.logits_of(head.feature_vectors(maps_of(values, model)))


def logit_step(output: TensorSpec, head: Head | None) -> float | None:
    """The step of a model's logits if they are quantized; None in float."""
    if output.values != "features":
        return output.scale
    return head.logits.scale if head is not None and head.logits is not None else None


def save_head(path: Path, head: Head) -> None:
    """Writes ``head.npz``."""
    arrays: dict[str, NDArray[Any]] = {"weights": head.weights, "bias": head.bias}
    for name, steps in (("pooled", head.pooled), ("logits", head.logits)):
        if steps is not None:
            arrays[name] = np.array([steps.scale, steps.zero_point], np.float64)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its stub reads the keywords as allow_pickle
    path.write_bytes(buffer.getvalue())


def load_head(bundle: Bundle) -> Head | None:
    """The head of an open bundle; None where it has no feature artifacts.

    Raises:
        BundleError: the file is damaged, or its arrays do not fit the bundle's labels and features.
    """
    if not bundle.features:
        return None
    file = bundle.features.head
    check_file(file)
    try:
        return _read_head(Path(file.path), bundle.features.channels, len(bundle.labels))
    except NpzError as error:
        raise BundleError(file.path, got=str(error), expected="the head that linnet convert writes") from error


def bundle_of_features(bundle: Bundle) -> Bundle:
    """The bundle with its feature artifacts in place of the others, to be opened on a device. Raises BundleError where
    it has none.
    """
    if not bundle.features:
        raise BundleError(
            bundle.name,
            got="no feature artifacts",
            expected="an int8 network that ends in global average pooling and one dense layer",
            fix="linnet convert --features makes them",
        )
    return msgspec.structs.replace(bundle, artifacts=bundle.features.artifacts)


def _read_head(path: Path, channels: int, classes: int) -> Head:
    """Raises NpzError."""
    most_bytes = 4 * classes * (channels + 1) + 16 * _NUMBERS_PER_STEPS + _ARRAYS * _HEADER_BYTES
    arrays = read_npz(path, most_bytes=most_bytes)
    weights, bias = numbers(arrays, "weights", np.float32, (classes,)), numbers(arrays, "bias", np.float32, ())
    if weights.shape != (channels, classes) or bias.shape != (classes,):
        got = f"weights {list(weights.shape)} and bias {list(bias.shape)}"
        raise NpzError(f"{got}, expected [{channels}, {classes}] and [{classes}]")
    return Head(weights, bias, _steps(arrays, "pooled"), _steps(arrays, "logits"))


def _steps(arrays: dict[str, NDArray[Any]], name: str) -> Steps | None:
    if name not in arrays:
        return None
    values = numbers(arrays, name, np.float64, ())
    if len(values) != _NUMBERS_PER_STEPS or not values[0] > 0 or not 0 <= values[1] <= 255 or values[1] % 1:
        raise NpzError(f"{name}: got {values.tolist()}, expected a scale above 0 and a zero point of 0 to 255")
    return Steps(float(values[0]), int(values[1]))
