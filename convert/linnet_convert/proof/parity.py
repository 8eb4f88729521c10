"""Every artifact against the model that it was made from, through the sessions that a device uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError
from linnet_convert.progress import OnStep
from linnet_devices.api import Logits, Model, OpenOptions, Pixels, Precision
from linnet_devices.errors import Setting
from linnet_devices.registry import load_device
from linnet_runtime.bundle import Artifact
from linnet_runtime.features.head import Head, logit_step, logits_from
from linnet_runtime.probabilities import comparable, probabilities
from linnet_runtime.proof.comparison import Comparison, compare
from linnet_runtime.proof.gates import drops, gate_words, parity_of, shortcomings
from linnet_runtime.proof.report import Compared, ParityReport, compare_pairs
from linnet_runtime.sessions import cpu_engine

if TYPE_CHECKING:
    import keras

# The largest total variation distance on noise, where top-1 depends on rounding.
MOST_VARIATION = {"int8": 0.1, "float16": 0.02, "float32": 0.02}
_SAME = 1e-6  # of logits: a difference that is rounding
_WHAT_NOISE_NEEDS = (
    Setting("mean", placeholder="R,G,B"),
    Setting("std", placeholder="R,G,B"),
    Setting("data", placeholder="FOLDER"),
)
_BATCH = 64


@dataclass(frozen=True)
class Sample:
    """What models are compared on: labelled photos, or noise."""

    pixels: Pixels
    """uint8 [N, H, W, 3]."""
    labels: NDArray[np.int64] | None
    """The true labels, int64 [N]; None for noise."""
    class_names: tuple[str, ...]
    """The model's labels."""


@dataclass(frozen=True)
class Original:
    """A model that artifacts were made from."""

    name: str
    """As people know it: "keras int8", or the name of its file."""
    logits: Logits
    """What it gives for the sample: float32 [N, classes]."""


@dataclass(frozen=True)
class Originals:
    """The models that artifacts were made from; None where there are no artifacts of that kind."""

    int8: Original | None = None
    """The model that int8 artifacts were made from."""
    float32: Original | None = None
    """The model that float artifacts were made from, in whatever precision those store their weights."""
    before_quantization: Original | None = None
    """The float model, where int8 artifacts were quantized from it without training."""

    @classmethod
    def of_file(cls, file: Original, precision: Precision) -> Originals:
        """A model file of that precision: its artifacts are the file itself, or are translated from it."""
        return cls(int8=file) if precision == "int8" else cls(float32=file)

    @classmethod
    def of_quantized_here(cls, int8: Original | None, float32: Original) -> Originals:
        """A float model and, unless ``int8`` is None, the model that was quantized from it."""
        return cls(int8, float32, None if int8 is None else float32)

    def of(self, artifact: Artifact) -> Original:
        """The model that an artifact was made from."""
        found = self.int8 if artifact.is_int8 else self.float32
        if found is None:
            raise ValueError(f"no model that {artifact.path} was made from")
        return found

    def logits(self) -> dict[str, Logits]:
        """By "int8" and "float", as ``reference.npz`` keeps them."""
        found = {"int8": self.int8, "float": self.float32}
        return {precision: original.logits for precision, original in found.items() if original is not None}


def keras_logits(model: keras.Model, pixels: Pixels | NDArray[np.float32]) -> Logits:
    """The Keras model's logits, float32 [N, classes], for uint8 [N, H, W, 3] or float32 inputs."""
    return np.asarray(model.predict(pixels, batch_size=_BATCH, verbose=0), dtype=np.float32)


def artifact_logits(artifact: Artifact, root: Path, pixels: Pixels, head: Head | None = None) -> Logits:
    """The logits of an artifact below ``root``; see ``model_logits``. Those of a feature artifact need the head."""
    model = artifact.model(root)
    return logits_from(model_logits(model, pixels), model, head)


def model_logits(model: Model, pixels: Pixels) -> Logits:
    """uint8 RGB [N, H, W, 3] to the float32 logits [N, classes] of a model on the CPU engine that reads it."""
    with load_device(cpu_engine(model.format)).open(model, OpenOptions()) as session:
        return session.run(pixels)


def measure_parity(
    artifacts: Iterable[Artifact],
    root: Path,
    sample: Sample,
    originals: Originals,
    head: Head | None = None,
    *,
    on_step: OnStep,
    name: str,
    max_drop: float | None = None,
) -> tuple[tuple[Artifact, ...], ParityReport]:
    """Compares each artifact with the model that it was made from.

    Args:
        artifacts: below ``root``; one that is compiled for an accelerator cannot be read here and stays as it is.
        root: the bundle's directory.
        sample: what to compare on.
        originals: the models that they were made from.
        head: what computes the logits of the feature artifacts among them.
        on_step: called when an artifact has been measured.
        name: of the bundle.
        max_drop: points of accuracy that an artifact may lose, if that is a gate; see ``shortcomings``. An int8
            artifact may not lose more against ``originals.before_quantization`` either.

    Returns:
        The artifacts with their parity, and the report, which states whether they passed.
    """
    _check_that_outputs_vary(originals, sample)
    measured: list[Artifact] = []
    rows: list[Compared] = []
    logits: dict[str, tuple[Logits, float | None]] = {}
    for artifact in artifacts:
        if artifact.compiled_for is not None:
            measured.append(artifact)
            continue
        original = originals.of(artifact)
        found = artifact_logits(artifact, root, sample.pixels, head)
        scale = logit_step(artifact.output, head)
        shown = comparable(found, artifact.output)
        before = comparable(original.logits, artifact.output)
        comparison = compare(original.name, before, shown, sample.labels, sample.class_names, scale=scale)
        failed = _failed(comparison, original.logits, found, artifact, sample, max_drop)
        floats = originals.before_quantization if artifact.is_int8 else None
        if floats is not None and max_drop is not None and sample.labels is not None:
            before_int8 = comparable(floats.logits, artifact.output)
            cost = compare(floats.name, before_int8, shown, sample.labels, sample.class_names, scale=scale)
            failed += tuple(f"{words} against {floats.name}" for words in drops(cost, max_drop))
        measured.append(msgspec.structs.replace(artifact, parity=parity_of(comparison)))
        rows.append(Compared(artifact.path, artifact.precision, cpu_engine(artifact.format), comparison, failed))
        if artifact.output.values != "features":  # they differ as the whole ones do
            logits[artifact.path] = (shown, scale)
        on_step(f"compared {artifact.path}")
    gate = gate_words(max_drop) if sample.labels is not None else _noise_gate()
    return tuple(measured), ParityReport(name, len(sample.pixels), gate, tuple(rows), compare_pairs(logits))


def _check_that_outputs_vary(originals: Originals, sample: Sample) -> None:
    """Raises ConversionError where a model gives the same for all pictures: to agree with it proves nothing."""
    for model in (originals.int8, originals.float32):
        if model is None or len(model.logits) < 2 or np.ptp(model.logits, axis=0).max() > _SAME:
            continue
        pictures = "pictures of noise" if sample.labels is None else "photos"
        raise ConversionError(
            f"outputs of {model.name}",
            got=f"the same for all of {len(model.logits)} {pictures}",
            expected="outputs that depend on the picture",
            fix=(_WHAT_NOISE_NEEDS,) if sample.labels is None else None,
        )


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
    variation = total_variation(expected, found, independent=artifact.output.is_independent)
    if variation > MOST_VARIATION[artifact.precision]:
        return (f"differs by {variation:.3f} in total variation of the probabilities on noise",)
    return ()


def _noise_gate() -> str:
    limits = ", ".join(f"{limit:g} in {precision}" for precision, limit in MOST_VARIATION.items())
    return f"without photos: at most {limits} of the probability on noise stands at another class"


def total_variation(reference: Logits, logits: Logits, *, independent: bool = False) -> float:
    """The total variation distance, 0 to 1, between the probabilities of two models: the mean over pictures.

    It is the share of the probability that is given to other classes. Where the labels are independent, each is a
    distribution over yes and no, and the mean is over the labels too.
    """
    before, after = (probabilities(values, 1.0, independent=independent) for values in (reference, logits))
    difference = np.abs(before - after)
    return float(difference.mean() if independent else difference.sum(axis=1).mean() / 2)
