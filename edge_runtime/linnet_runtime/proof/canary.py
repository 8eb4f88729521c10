"""Canaries: a few pictures whose logits are known, so that a device can be asked whether it still computes them.

``canary.npz`` holds the pixels, each artifact's logits on its own CPU engine, and a tolerance in logits.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linnet_devices.api import Logits, Pixels, Session
from linnet_runtime.bundle import BundleError, File, check_file
from linnet_runtime.decision import comparable
from linnet_runtime.files import NPZ_ERRORS

CANARY = "canary.npz"
PICTURES = 8
_STEPS = 8.0  # of the int8 output's scale
_SPREADS = 2.0  # times what the engines themselves differ by


@dataclass(frozen=True)
class Canary:
    """``pixels`` uint8 [8, H, W, 3]; ``logits`` float32 [8, classes] by the artifact's file name, as ``comparable`` has
    them; ``tolerance`` in the same unit by the same name.
    """

    pixels: Pixels
    logits: dict[str, Logits]
    tolerance: dict[str, float]


@dataclass(frozen=True)
class CanaryResult:
    """``difference`` is the largest one from the known logits; ``flipped`` counts the pictures whose top-1 changed
    although its margin exceeds the tolerance.
    """

    passed: bool
    difference: float
    tolerance: float
    flipped: int

    def __str__(self) -> str:
        return (
            f"off by {self.difference:.3g} logits where {self.tolerance:.3g} is allowed, {self.flipped} labels changed"
        )


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


def load_canary(file: File) -> Canary:
    """Raises BundleError where the file is damaged."""
    check_file(file)
    try:
        with Path(file.path).open("rb") as data, np.load(data, allow_pickle=False) as arrays:
            names = [name.removeprefix("logits/") for name in arrays.files if name.startswith("logits/")]
            return Canary(
                arrays["pixels"],
                {name: arrays[f"logits/{name}"] for name in names},
                {name: float(arrays[f"tolerance/{name}"]) for name in names},
            )
    except NPZ_ERRORS as error:
        raise BundleError(file.path, got=str(error), expected="the canaries that linnet convert writes") from error


def check_canary(canary: Canary | None, session: Session) -> CanaryResult | None:
    """Runs the canaries on an open session; None where there are none for its artifact."""
    # A model that was compiled for an Edge TPU computes what the model does that it was compiled from.
    name = Path(session.model.path).name.replace("_edgetpu.tflite", ".tflite")
    if canary is None or name not in canary.logits:
        return None
    return compare_canary(canary, name, comparable(session.run(canary.pixels), session.model.output))


def compare_canary(canary: Canary, name: str, logits: Logits) -> CanaryResult:
    """Logits float32 [8, classes] of the artifact ``name`` against the known ones."""
    known, tolerance = canary.logits[name], canary.tolerance[name]
    second, first = np.sort(known, axis=1)[:, -2:].T
    clear = first - second > tolerance
    flipped = int((clear & (known.argmax(axis=1) != logits.argmax(axis=1))).sum())
    difference = float(np.abs(logits - known).max())
    return CanaryResult(difference <= tolerance and not flipped, difference, tolerance, flipped)
