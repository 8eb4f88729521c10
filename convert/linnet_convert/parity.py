"""Every artifact against the model that it came from, through the very sessions that a device will use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from linnet_convert.errors import ConversionError
from linnet_devices.api import Artifact, Logits, OpenOptions, Pixels
from linnet_devices.registry import load_device
from linnet_runtime.parity import LEAST_AGREEMENT, agrees, compare_logits
from linnet_runtime.sessions import artifact_device

if TYPE_CHECKING:
    import keras

# Of the probabilities on noise, where no class is meant and top-1 is a matter of rounding.
MOST_VARIATION = {"int8": 0.1, "float16": 0.02, "float32": 0.02}
_BATCH = 64


def keras_logits(model: keras.Model, pixels: Pixels) -> Logits:
    """uint8 [N, H, W, 3] to the Keras model's float32 logits [N, classes]."""
    return np.asarray(model.predict(pixels, batch_size=_BATCH, verbose=0), dtype=np.float32)


def artifact_logits(artifact: Artifact, root: Path, pixels: Pixels) -> Logits:
    """The same from an artifact below ``root`` on its own CPU engine."""
    absolute = msgspec.structs.replace(artifact, path=str(root / artifact.path))
    with load_device(artifact_device(artifact)).open(absolute, OpenOptions()) as session:
        return session.run(pixels)


def measure_parity(
    artifacts: Iterable[Artifact],
    root: Path,
    pixels: Pixels,
    labels: NDArray[np.int64] | None,
    reference: dict[str, tuple[str, Logits]],
    on_artifact: Callable[[Artifact], None],
) -> tuple[Artifact, ...]:
    """The artifacts with their parity filled in.

    Args:
        artifacts: below ``root``.
        root: the bundle's directory.
        pixels: uint8 [N, H, W, 3], of validation photos or of noise.
        labels: int64 [N], the photos' true labels; None: they are noise.
        reference: the name and the logits of the model that it came from, by "int8" and "float".
        on_artifact: hears of each artifact when it is measured.

    Raises:
        ConversionError: artifacts that do not agree with their models, each with its figures.
    """
    measured = []
    failed = []
    for artifact in artifacts:
        if artifact.compiled_for is not None:  # which nothing reads here
            measured.append(artifact)
            continue
        name, expected = reference["int8" if artifact.is_int8 else "float"]
        logits = artifact_logits(artifact, root, pixels)
        parity = compare_logits(name, expected, logits, labels)
        measured.append(msgspec.structs.replace(artifact, parity=parity))
        on_artifact(artifact)
        if labels is None:
            variation = total_variation(expected, logits)
            if variation > MOST_VARIATION[artifact.precision]:
                failed.append(f"{artifact.path} moves {variation:.3f} of the probability on noise")
        elif not agrees(parity, artifact.precision):
            failed.append(
                f"{artifact.path} agrees on {parity.agreement:.4f} of {parity.n} photos "
                f"(interval {parity.agreement_low:.4f}..{parity.agreement_high:.4f}, "
                f"logits off by up to {parity.max_abs_logit_diff:.3g})"
            )
    if failed:
        limits, words = (MOST_VARIATION, "at most") if labels is None else (LEAST_AGREEMENT, "an interval that reaches")
        each = ", ".join(f"{limit} in {precision}" for precision, limit in limits.items())
        raise ConversionError("parity", got="; ".join(failed), expected=f"{words} {each}")
    return tuple(measured)


def total_variation(reference: Logits, logits: Logits) -> float:
    """The total variation distance, 0 to 1, between the probabilities of two models: the mean over pictures.

    It is the share of the probability that stands at another class.
    """
    difference = _softmax(reference) - _softmax(logits)
    return float(np.abs(difference).sum(axis=1).mean() / 2)


def _softmax(logits: Logits) -> Logits:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
