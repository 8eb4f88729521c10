"""Every artifact against the model that it came from, through the very sessions that a device will use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_devices.api import Logits, Model, OpenOptions, Pixels
from linnet_devices.registry import load_device
from linnet_runtime.bundle import Artifact
from linnet_runtime.decision import comparable
from linnet_runtime.proof.comparison import Comparison, compare
from linnet_runtime.proof.gates import drops, gate_words, parity_of, shortcomings
from linnet_runtime.proof.report import Compared, ParityReport, compare_pairs
from linnet_runtime.sessions import cpu_engine

if TYPE_CHECKING:
    import keras

# Of the probabilities on noise, where no class is meant and top-1 is a matter of rounding.
MOST_VARIATION = {"int8": 0.1, "float16": 0.02, "float32": 0.02}
_BATCH = 64


@dataclass(frozen=True)
class Sample:
    """What models are compared on: ``pixels`` uint8 [N, H, W, 3] of photos with their true ``labels`` int64 [N], or of
    noise, which has none; ``class_names`` are the model's.
    """

    pixels: Pixels
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...]


def keras_logits(model: keras.Model, pixels: Pixels | NDArray[np.float32]) -> Logits:
    """uint8 [N, H, W, 3], or what else the model takes, to the Keras model's float32 logits [N, classes]."""
    return np.asarray(model.predict(pixels, batch_size=_BATCH, verbose=0), dtype=np.float32)


def artifact_logits(artifact: Artifact, root: Path, pixels: Pixels) -> Logits:
    """The logits of an artifact below ``root``; see ``model_logits``."""
    return model_logits(artifact.model(root), pixels)


def model_logits(model: Model, pixels: Pixels) -> Logits:
    """uint8 RGB [N, H, W, 3] to the float32 logits [N, classes] of a model on the CPU engine that reads it."""
    with load_device(cpu_engine(model.format)).open(model, OpenOptions()) as session:
        return session.run(pixels)


def measure_parity(
    artifacts: Iterable[Artifact],
    root: Path,
    sample: Sample,
    reference: dict[str, tuple[str, Logits]],
    on_artifact: Callable[[Artifact], None],
    *,
    name: str,
    max_drop: float | None = None,
    given: tuple[str, Logits] | None = None,
) -> tuple[tuple[Artifact, ...], ParityReport]:
    """The artifacts with their parity filled in, and the report, which says whether they passed.

    Args:
        artifacts: below ``root``; one that is compiled for an accelerator cannot be read here and stays as it is.
        root: the bundle's directory.
        sample: what to compare on.
        reference: the name and the logits of the model that it came from, by "int8" and "float".
        on_artifact: hears of each artifact when it is measured.
        name: of the bundle.
        max_drop: points of accuracy that an artifact may lose, if that is a gate; see ``shortcomings``.
        given: the name and the logits of the float model that was quantised here, after its training: int8 artifacts
            may not lose more against that either.
    """
    measured: list[Artifact] = []
    rows: list[Compared] = []
    logits: dict[str, tuple[Logits, float | None]] = {}
    for artifact in artifacts:
        if artifact.compiled_for is not None:
            measured.append(artifact)
            continue
        own, expected = reference["int8" if artifact.is_int8 else "float"]
        found = artifact_logits(artifact, root, sample.pixels)
        scale = artifact.output.scale
        shown = comparable(found, artifact.output)
        before = comparable(expected, artifact.output)
        comparison = compare(own, before, shown, sample.labels, sample.class_names, scale=scale)
        failed = _failed(comparison, expected, found, artifact, sample, max_drop)
        if given is not None and max_drop is not None and sample.labels is not None and artifact.is_int8:
            before_int8 = comparable(given[1], artifact.output)
            cost = compare(given[0], before_int8, shown, sample.labels, sample.class_names, scale=scale)
            failed += tuple(f"{words} against {given[0]}" for words in drops(cost, max_drop))
        measured.append(msgspec.structs.replace(artifact, parity=parity_of(comparison)))
        rows.append(Compared(artifact.path, artifact.precision, cpu_engine(artifact.format), comparison, failed))
        logits[artifact.path] = (shown, scale)
        on_artifact(artifact)
    gate = gate_words(max_drop) if sample.labels is not None else _noise_gate()
    return tuple(measured), ParityReport(name, len(sample.pixels), gate, tuple(rows), compare_pairs(logits))


def _failed(
    comparison: Comparison,
    expected: Logits,
    found: Logits,
    artifact: Artifact,
    sample: Sample,
    max_drop: float | None,
) -> tuple[str, ...]:
    if sample.labels is not None or max_drop is not None:
        return shortcomings(comparison, artifact.precision, max_drop)
    variation = total_variation(expected, found)
    if variation > MOST_VARIATION[artifact.precision]:
        return (f"moves {variation:.3f} of the probability on noise",)
    return ()


def _noise_gate() -> str:
    limits = ", ".join(f"{limit:g} in {precision}" for precision, limit in MOST_VARIATION.items())
    return f"without photos: at most {limits} of the probability on noise stands at another class"


def total_variation(reference: Logits, logits: Logits) -> float:
    """The total variation distance, 0 to 1, between the probabilities of two models: the mean over pictures.

    It is the share of the probability that stands at another class.
    """
    difference = _softmax(reference) - _softmax(logits)
    return float(np.abs(difference).sum(axis=1).mean() / 2)


def _softmax(logits: Logits) -> Logits:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
