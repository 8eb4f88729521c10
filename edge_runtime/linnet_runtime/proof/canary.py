"""Canaries: a few pictures whose logits are known, so that a device can be asked whether it still computes them.

``canary.npz`` holds the pixels, each artifact's logits on its own CPU engine, and a tolerance in logits.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, Pixels, Session
from linnet_runtime.bundle import Bundle, BundleError
from linnet_runtime.bundle_files import check_file
from linnet_runtime.features.head import Head, load_head, logits_from
from linnet_runtime.files.npz import NpzError, numbers, read_npz
from linnet_runtime.probabilities import comparable

CANARY = "canary.npz"
PICTURES = 8
ALL = slice(None)
_STEPS = 8.0  # of the int8 output's scale
_SPREADS = 2.0  # times what the engines themselves differ by
_HEADER_BYTES = 1024  # an array's, at most
_MOST_MODELS = 32  # whose logits it keeps


@dataclass(frozen=True)
class Canary:
    """The pictures, and what each artifact makes of them."""

    pixels: Pixels
    """uint8 RGB [N, H, W, 3], N at most 8."""
    logits: dict[str, Logits]
    """The known logits, float32 [N, classes], by the artifact's file name; see ``comparable``."""
    tolerance: dict[str, float]
    """The largest difference that passes, in the unit of the logits, by the artifact's file name."""
    head: Head | None = None
    """What computes the logits of a feature artifact; None where the bundle has none."""

    def proves(self, name: str) -> bool:
        """Whether the tolerance of the artifact ``name`` is less than the range of its known logits. Otherwise a model
        with a constant output would pass.
        """
        return self.tolerance[name] < float(np.ptp(self.logits[name].astype(np.float64)))


@dataclass(frozen=True)
class CanaryResult:
    """A comparison with the known logits."""

    passed: bool
    difference: float
    """The largest difference of a logit."""
    tolerance: float
    flipped: int
    """The number of pictures whose top-1 changed although its margin exceeds the tolerance."""

    def __str__(self) -> str:
        return f"off by {self.difference:.3g} logits, {self.tolerance:.3g} allowed, {self.flipped} labels changed"


def make_tolerance(logits: dict[str, Logits], output_step: float) -> float:
    """The larger of 8 output steps and twice the spread of engines that should agree, in logits."""
    engines = np.stack(list(logits.values()))
    return max(_STEPS * output_step, _SPREADS * float(np.ptp(engines, axis=0).max()))


def save_canary(path: Path, canary: Canary) -> None:
    """Writes ``canary.npz``."""
    arrays: dict[str, np.ndarray] = {"pixels": canary.pixels}
    for name, logits in canary.logits.items():
        arrays |= {f"logits/{name}": logits, f"tolerance/{name}": np.array(canary.tolerance[name])}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # its stub reads the keywords as allow_pickle
    path.write_bytes(buffer.getvalue())


def load_canary(bundle: Bundle) -> Canary | None:
    """The canaries of an open bundle; None where it has none.

    Raises:
        BundleError: the file is damaged, or its arrays do not fit the bundle's labels and preprocessing.
    """
    file = bundle.canary
    if file is None:
        return None
    check_file(file)
    picture = (bundle.preprocess.height, bundle.preprocess.width, 3)
    of_artifact = PICTURES * len(bundle.labels) * 4 + 2 * _HEADER_BYTES
    most_bytes = PICTURES * int(np.prod(picture)) + _MOST_MODELS * of_artifact
    try:
        arrays = read_npz(Path(file.path), most_bytes=most_bytes)
        pixels = numbers(arrays, "pixels", np.uint8, picture)
        names = [name.removeprefix("logits/") for name in arrays if name.startswith("logits/")]
        logits = {name: numbers(arrays, f"logits/{name}", np.float32, (len(bundle.labels),)) for name in names}
        if any(len(known) != len(pixels) for known in logits.values()) or not 1 <= len(pixels) <= PICTURES:
            raise NpzError(f"{len(pixels)} pictures with logits of {[len(known) for known in logits.values()]}")
        return Canary(pixels, logits, {name: _tolerance(arrays, name) for name in names}, load_head(bundle))
    except NpzError as error:
        raise BundleError(file.path, got=str(error), expected="the canaries that linnet convert writes") from error


def _tolerance(arrays: dict[str, NDArray[Any]], name: str) -> float:
    array = arrays.get(f"tolerance/{name}")
    if array is None or array.shape != () or array.dtype.kind != "f" or not array >= 0:
        raise NpzError(f"no tolerance/{name} that is a number of at least 0")
    return float(array)


def canary_name(session: Session) -> str:
    """The name by which a canary knows the model of a session."""
    # A model that was compiled for an Edge TPU computes what the model does that it was compiled from.
    return Path(session.model.path).name.replace("_edgetpu.tflite", ".tflite")


def check_canary(canary: Canary | None, session: Session, photos: slice = ALL) -> CanaryResult | None:
    """Runs the canaries, or some of their photos, on an open session; None where there are none for its model."""
    name = canary_name(session)
    if canary is None or name not in canary.logits:
        return None
    values = logits_from(session.run(canary.pixels[photos]), session.model, canary.head)
    logits = comparable(values, session.model.output)
    return compare_canary(canary, name, logits, photos)


def compare_canary(canary: Canary, name: str, logits: Logits, photos: slice = ALL) -> CanaryResult:
    """Logits float32 [N, classes] of the artifact ``name`` against the known ones of the same photos."""
    known, tolerance = canary.logits[name][photos], canary.tolerance[name]
    second, first = np.sort(known, axis=1)[:, -2:].T
    clear = first - second > tolerance
    flipped = int((clear & (known.argmax(axis=1) != logits.argmax(axis=1))).sum())
    difference = float(np.abs(logits.astype(np.float64) - known).max())
    return CanaryResult(difference <= tolerance and not flipped, difference, tolerance, flipped)
